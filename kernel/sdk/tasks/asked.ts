import type { Checked } from '../../check.js';
import {
  type SubmitOptions,
  type TaskDefinition,
  type TaskPriority,
  taskPriorities,
} from '../../contracts/task.js';
import { WaggleError } from '../../errors.js';
import type { TasksConfig } from './config.js';

/** The input of a request. @throws INVALID_REQUEST */
export function inputOf({ value, issues }: Checked<unknown>): unknown {
  if (!issues) return value;
  throw new WaggleError('INVALID_REQUEST', {
    issues: issues.map((issue) => (/^[\w.]+: /.test(issue) ? `input.${issue}` : `input: ${issue}`)),
  });
}

/** The priority that a request gets. */
export function priorityOf(
  { priority = 'normal' }: TaskDefinition,
  asked: Pick<SubmitOptions, 'priority'>,
  { maxPriority }: Pick<TasksConfig, 'maxPriority'>,
): TaskPriority {
  if (asked.priority === undefined) return priority;
  const rank = (each: TaskPriority) => taskPriorities.indexOf(each);
  return rank(asked.priority) > rank(maxPriority) ? maxPriority : asked.priority;
}
