import type { TaskDefinition, Watcher } from '#kernel';
import { whyNoTool } from './toolbox.js';

/** Rejects tools that a model could not tell apart. */
export class ToolNames implements Watcher<TaskDefinition> {
  readonly #tasks: Iterable<TaskDefinition>;

  /** `tasks`: those that are registered. */
  constructor(tasks: Iterable<TaskDefinition>) {
    this.#tasks = tasks;
  }

  /** @throws why a task can be no tool */
  added(task: TaskDefinition): void {
    const why = task.tool && whyNoTool(task, this.#tasks);
    if (why) throw new Error(why);
  }

  removed(): void {}
}
