import { taskPriorities } from '../../contracts/task.js';
import { z } from '../../contracts/zod.js';
import { milliseconds } from '../milliseconds.js';

/** Config of plugins that run tasks in this process. */
export const tasksConfig = z.strictObject({
  /** Threads. With 0 the worker lane runs on the main thread, where a run cannot be ended by force: for tests. */
  workers: z.int().min(0).max(256).default(4),
  /** Runs of the main lane at the same time, replies included. */
  mainConcurrency: z.int().min(1).default(4000),
  /** Runs that may wait, delayed ones included. */
  queueLimit: z.int().min(0).default(1000),
  /** Every n-th turn goes to the priority whose next run has waited longest. */
  ageEvery: z.int().min(2).default(16),
  /** The highest priority that can be requested; a task's own definition may have more. */
  maxPriority: z.enum(taskPriorities).default('high'),
  /** Time limit of one try where neither the task nor the request sets one. */
  timeoutMs: milliseconds.default(60_000),
  /** Time for a run to stop by itself, before its thread is ended or it is left to itself. */
  cancelGraceMs: milliseconds.default(500),
  /** Time for which runs may go on after their task is unregistered. */
  unregisterGraceMs: milliseconds.default(3000),
  /** Partial results of one run. */
  maxPartials: z.int().min(1).default(10_000),
  /** Characters that all runs hold: inputs, partial results, progress and results. Ended runs make room for others. */
  totalLimitChars: z.int().min(1).default(128_000_000),
  /** Memory of one thread's heap. Outside of it, and bounded only by the machine: `Buffer`, typed arrays and WebAssembly. */
  workerMemoryMb: z.int().min(32).default(512),
  /** Time for which an ended run can still be looked up. */
  keepMs: milliseconds.default(5 * 60_000),
  /** Ended runs that are kept; the oldest go first. */
  maxKept: z.int().min(0).default(1000),
  /** Dead letters that are kept; the oldest go first. */
  maxDeadLetters: z.int().min(0).default(100),
});

/** The config of tasks that run in this process. */
export type TasksConfig = z.infer<typeof tasksConfig>;

/** The keys of its config that may change while it runs: not those of its threads and its line. */
export const liveTaskKeys = [
  'mainConcurrency',
  'queueLimit',
  'maxPriority',
  'timeoutMs',
  'unregisterGraceMs',
  'totalLimitChars',
  'keepMs',
  'maxKept',
  'maxDeadLetters',
] as const satisfies readonly (keyof TasksConfig)[];
