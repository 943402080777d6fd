import {
  type ClientErrorCode,
  clientChosenId,
  type RouteDocs,
  type TaskCounts,
  type TaskStats,
  taskPriorities,
} from '#kernel';
import { longestMs, milliseconds, millisecondsOrNone } from '#sdk';
import { integerText } from '#sdk/http';
import { z } from '#zod';

const count = z.int().min(0);
const measured = z.number().min(0);
const priority = z.enum(taskPriorities);
const jsonSchema = z.record(z.string(), z.unknown()).describe('A JSON Schema');

/** The body of `POST /tasks/{task}`. */
export const submission = z.strictObject({
  input: z.unknown().optional().describe('As the schema of the task says'),
  priority: priority.optional(),
  timeout_ms: milliseconds.optional().describe('How long one try may take; only less than usual'),
  delay_ms: millisecondsOrNone.max(86_400_000).optional().describe('When to start, from now'),
  user_id: clientChosenId.optional(),
  request_id: clientChosenId
    .optional()
    .describe(
      'The same of the same `user_id` gives the same run again; with another task or input it is refused',
    ),
});

/** The query of `POST /tasks/{task}`. */
export const waitQuery = z.object({
  wait: integerText(0, longestMs)
    .describe('How long to wait for the end, in milliseconds; then 200 with the result')
    .default('0'),
});

/** A run, as clients see it. */
export const runReport = z.object({
  taskId: z.string().describe('A capability: whoever has it may look at or cancel the run'),
  task: z.string(),
  state: z.enum(['delayed', 'queued', 'running', 'succeeded', 'failed', 'cancelled']),
  priority,
  attempts: count.describe('Tries so far'),
  queuedMs: measured,
  runMs: measured.describe('Of the last try'),
  progress: z.unknown().describe('The newest that it told').optional(),
  output: z.unknown().optional(),
  error: z.object({ code: z.string(), message: z.string() }).exactOptional(),
});

const counts = z.object({
  submitted: count,
  succeeded: count,
  failed: count,
  cancelled: count,
  rejected: count,
  waiting: count,
  running: count,
}) satisfies z.ZodType<TaskCounts>;

/** What `GET /tasks` answers. */
export const taskList = z.object({
  tasks: z.array(
    z.object({
      name: z.string(),
      description: z.string().exactOptional(),
      lane: z.enum(['main', 'worker']),
      exposed: z.boolean().describe('Whether `POST /tasks/{task}` and `task` frames may run it'),
      message: z.boolean().describe('Whether its name is a type of WebSocket frames'),
      input: jsonSchema.exactOptional(),
      output: jsonSchema.exactOptional(),
      counts,
    }),
  ),
  figures: counts.extend({
    queued: z.object({ low: count, normal: count, high: count, urgent: count }),
    delayed: count,
    workers: z.object({ alive: count, busy: count, lost: count }),
  }) satisfies z.ZodType<TaskStats>,
});

/** What a cancel answers. */
export const cancelAnswer = z.object({
  cancelled: z.boolean().describe('False when it had ended before'),
  state: runReport.shape.state,
});

const params = (description: string) => z.object({ task: z.string().describe(description) });
const runId = params('The id that the submission gave');
const failures: readonly ClientErrorCode[] = [
  'TASK_FAILED',
  'TASK_CRASHED',
  'TASK_OUT_OF_MEMORY',
  'TASK_TIMEOUT',
  'TASK_CANCELLED',
];

/** `GET /tasks` */
export const listDocs: RouteDocs = {
  summary: 'The registered tasks, with their schemas and figures',
  responses: { 200: { description: 'All of them', content: { 'application/json': taskList } } },
};

/** `POST /tasks/{task}` */
export const submitDocs: RouteDocs = {
  summary: 'Run a task',
  params: params('The name of the task'),
  query: waitQuery,
  body: submission,
  responses: {
    200: { description: 'It has ended well', content: { 'application/json': runReport } },
    202: { description: 'It is accepted', content: { 'application/json': runReport } },
  },
  errors: [
    'TASK_UNKNOWN',
    'INVALID_REQUEST',
    'IDEMPOTENCY_MISMATCH',
    'QUEUE_FULL',
    'SHUTTING_DOWN',
    ...failures,
  ],
};

/** `GET /tasks/{task}` */
export const lookDocs: RouteDocs = {
  summary: 'State and result of a run',
  params: runId,
  responses: { 200: { description: 'As it is now', content: { 'application/json': runReport } } },
  errors: ['TASK_UNKNOWN'],
};

/** `DELETE /tasks/{task}` */
export const cancelDocs: RouteDocs = {
  summary: 'Cancel a run; answers when it has stopped',
  params: runId,
  responses: { 200: { description: 'It runs no more', content: { 'application/json': cancelAnswer } } },
  errors: ['TASK_UNKNOWN', 'DEADLINE_EXCEEDED'],
};
