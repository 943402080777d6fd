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
const at = z.int().min(0);
const measured = z.number().min(0);
const priority = z.enum(taskPriorities);
const jsonSchema = z.record(z.string(), z.unknown()).describe('A JSON Schema');

/** The body of `POST /tasks/{task}`. */
export const submission = z.strictObject({
  input: z.unknown().optional().describe('Input of the task, as its schema defines it'),
  priority: priority.optional(),
  timeout_ms: milliseconds
    .optional()
    .describe('Time limit of one attempt; can only shorten that of the task'),
  delay_ms: millisecondsOrNone.max(86_400_000).optional().describe('Delay before the start'),
  user_id: clientChosenId.optional(),
  request_id: clientChosenId
    .optional()
    .describe(
      'Repeating it, with the same `user_id`, task and input, returns the same run; another task or input is refused',
    ),
});

/** The query of `POST /tasks/{task}`. */
export const waitQuery = z.object({
  wait: integerText(0, longestMs)
    .describe('How long to wait for the result, in milliseconds; 200 when the run ends within that time')
    .default('0'),
});

export const runReport = z.object({
  taskId: z.string().describe('A secret: it gives access to the run, to read and to cancel it'),
  task: z.string(),
  state: z.enum(['delayed', 'queued', 'running', 'succeeded', 'failed', 'cancelled']),
  priority,
  attempts: count.describe('Attempts so far'),
  queuedMs: measured,
  runMs: measured.describe('Duration of the last attempt'),
  progress: z.unknown().describe('The latest progress report').optional(),
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

/** The response of `GET /tasks`. */
export const taskList = z.object({
  tasks: z.array(
    z.object({
      name: z.string(),
      description: z.string().exactOptional(),
      lane: z.enum(['main', 'worker']),
      exposed: z.boolean().describe('Whether `POST /tasks/{task}` and `task` frames may run it'),
      message: z.boolean().describe('Whether its name is a WebSocket frame type'),
      input: jsonSchema.exactOptional(),
      output: jsonSchema.exactOptional(),
      schedule: z
        .object({
          cron: z.string(),
          timeZone: z.string(),
          nextAt: at.describe('The next run, in milliseconds since 1970'),
          lastAt: at.describe('The latest run since the start of the server').exactOptional(),
          missed: count.describe('Missed runs since then'),
        })
        .describe('For a task that runs by itself')
        .exactOptional(),
      counts,
    }),
  ),
  figures: counts.extend({
    queued: z.object({ low: count, normal: count, high: count, urgent: count }),
    delayed: count,
    workers: z.object({ alive: count, busy: count, lost: count }),
  }) satisfies z.ZodType<TaskStats>,
});

/** The response of a cancel. */
export const cancelAnswer = z.object({
  cancelled: z.boolean().describe('False when the run had already ended'),
  state: runReport.shape.state,
});

const params = (description: string) => z.object({ task: z.string().describe(description) });
const runId = params('The `taskId` of the run');
const failures: readonly ClientErrorCode[] = [
  'TASK_FAILED',
  'TASK_CRASHED',
  'TASK_OUT_OF_MEMORY',
  'TASK_TIMEOUT',
  'TASK_CANCELLED',
];

/** `GET /tasks` */
export const listDocs: RouteDocs = {
  summary: 'The registered tasks, with their schemas and statistics',
  responses: { 200: { description: 'The tasks', content: { 'application/json': taskList } } },
};

/** `POST /tasks/{task}` */
export const submitDocs: RouteDocs = {
  summary: 'Run a task',
  params: params('The name of the task'),
  query: waitQuery,
  body: submission,
  responses: {
    200: { description: 'The run succeeded', content: { 'application/json': runReport } },
    202: { description: 'The run is accepted', content: { 'application/json': runReport } },
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
  responses: { 200: { description: 'The current state', content: { 'application/json': runReport } } },
  errors: ['TASK_UNKNOWN'],
};

/** `DELETE /tasks/{task}` */
export const cancelDocs: RouteDocs = {
  summary: 'Cancel a run; responds when it has stopped',
  params: runId,
  responses: { 200: { description: 'The run has stopped', content: { 'application/json': cancelAnswer } } },
  errors: ['TASK_UNKNOWN', 'DEADLINE_EXCEEDED'],
};
