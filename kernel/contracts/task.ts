import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { ClientErrorCode, WaggleError } from '../errors.js';
import { createToken } from '../services.js';

/** From the last to be served to the first. */
export const taskPriorities = ['low', 'normal', 'high', 'urgent'] as const;
/** How urgent a task is. */
export type TaskPriority = (typeof taskPriorities)[number];

/**
 * Inputs and outputs of tasks by name. Add yours:
 * `declare module 'waggle-server' { interface TaskTypes { 'text:count': { input: { text: string }; output: number } } }`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be added to
export interface TaskTypes {}
/** What a task takes; unknown where its name is not in `TaskTypes`. */
export type TaskInput<N extends string> = N extends keyof TaskTypes
  ? TaskTypes[N] extends { readonly input: infer Input }
    ? Input
    : unknown
  : unknown;
/** What a task gives; unknown where its name is not in `TaskTypes`. */
export type TaskOutput<N extends string> = N extends keyof TaskTypes
  ? TaskTypes[N] extends { readonly output: infer Output }
    ? Output
    : unknown
  : unknown;

/** What tasks log with, on the main thread and on others. */
export type TaskLogger = Readonly<
  Record<'debug' | 'info' | 'warn' | 'error', (fields: object, message?: string) => void>
>;

/** What comes with the input when a task runs. */
export interface TaskCall {
  readonly taskId: string;
  /** 1 the first time, one more with each retry. */
  readonly attempt: number;
  /** Aborts when the result is no longer wanted: cancelled, or over its time. */
  readonly signal: AbortSignal;
  /** The same, for a loop that never waits and so hears of nothing. */
  readonly cancelled: boolean;
  readonly logger: TaskLogger;
  /** Says how far the work is: any plain data. Whoever watches gets the newest. */
  readonly progress: (value: unknown) => void;
  /** Gives a part of the result before the end: any plain data. Whoever watches gets all of them, in order. */
  readonly partial: (value: unknown) => void;
}

/** How often a task that failed is tried again, and how long it waits before: exponential back-off with full jitter. */
export interface TaskRetries {
  /** Tries after the first one. */
  readonly max: number;
  /** The longest wait before the first retry; it doubles with each one. 200 when absent. */
  readonly baseMs?: number;
  /** The longest wait before any. 10,000 when absent. */
  readonly maxMs?: number;
}

/** A piece of work by name. */
export type TaskDefinition<Input = unknown, Output = unknown> = {
  /** `noun:verb`; 1 to 128 characters of `A-Z a-z 0-9 . _ : -`. */
  readonly name: string;
  readonly description?: string;
  readonly input?: StandardSchemaV1<unknown, Input>;
  readonly output?: StandardSchemaV1<unknown, Output>;
  /** `normal` when absent. */
  readonly priority?: TaskPriority;
  /** How long one try may take. The engine's own limit when absent. */
  readonly timeoutMs?: number;
  /** None when absent. */
  readonly retries?: TaskRetries;
  /** Runs at the same time. Only the lane's own limit when absent. */
  readonly concurrency?: number;
  /** Runs that may wait. Only the engine's own limit when absent. */
  readonly maxQueued?: number;
  /** Clients may run it, with `task` frames and over HTTP. Only plugins when absent. */
  readonly exposed?: boolean;
  /**
   * Makes its name a type of WebSocket frames: their other fields are the input, and what it tells and gives goes back
   * as frames (an object as it is, with the task's name as `type` unless it has its own; anything else as `output`).
   */
  readonly message?: boolean;
} & (
  | {
      /** On a thread, for work that computes. */
      readonly lane: 'worker';
      /** A module whose default export is `(input, call) => output`, see `TaskFunction`. */
      readonly module: URL;
    }
  | {
      /** On the main thread, for work that waits. */
      readonly lane: 'main';
      run(input: Input, call: TaskCall): Output | Promise<Output>;
    }
);

/** The default export of a module of the worker lane. Input and output are copied from thread to thread. */
export type TaskFunction<Input = unknown, Output = unknown> = (
  input: Input,
  call: TaskCall,
) => Output | Promise<Output>;

/** A task of the main lane as a class; tsyringe injects what its constructor asks for. Give the class to `registerTask`. */
export abstract class BaseTask<Input = unknown, Output = unknown> {
  abstract readonly name: string;
  readonly lane = 'main';
  abstract run(input: Input, call: TaskCall): Output | Promise<Output>;
}

/** What a plugin may ask of one run. */
export interface SubmitOptions {
  /** At most what the engine's config lets requests ask for; the definition's own priority when absent. */
  readonly priority?: TaskPriority | undefined;
  /** For each try; can only be less than what the definition or the engine allows. */
  readonly timeoutMs?: number | undefined;
  readonly delayMs?: number | undefined;
  /** Who asks. Without one `idempotencyKey` says nothing: strangers share no runs. */
  readonly owner?: string | undefined;
  /** The same key of the same owner for the same task and input (as JSON) gives the same run again, as long as that is kept and has not failed. */
  readonly idempotencyKey?: string | undefined;
  /** Called while it waits, with how many are before it. */
  readonly onQueued?: ((ahead: number) => void) | undefined;
}

/** Where a run is in its life; `delayed` until its start or its retry is due. */
export type TaskState = 'delayed' | 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** What a task tells while it runs. */
export interface TaskUpdate {
  readonly type: 'progress' | 'partial';
  readonly value: unknown;
}

/** One run of one task. */
export interface TaskRun<Output = unknown> {
  /** A capability: at least 128 random bits. */
  readonly id: string;
  readonly name: string;
  readonly priority: TaskPriority;
  readonly state: TaskState;
  readonly ended: boolean;
  /** Tries so far. */
  readonly attempts: number;
  /** Milliseconds that it has waited, and that its last try took. */
  readonly queuedMs: number;
  readonly runMs: number;
  /** The newest that it told. */
  readonly progress: unknown;
  readonly output: Output | undefined;
  readonly error: WaggleError<ClientErrorCode> | undefined;
  /** @throws why it failed or was refused, TASK_CANCELLED */
  readonly result: Promise<Output>;
  /** What it tells, from the beginning. Each pull gives all that is new: every `partial`, and the newest `progress`. */
  updates(): AsyncIterableIterator<readonly TaskUpdate[]>;
  /** Resolves when it has stopped, with true if that was due to this call or an earlier one, false if it had ended before. */
  cancel(): Promise<boolean>;
}

/** A run that used up its tries or took its thread down. */
export interface DeadLetter {
  readonly taskId: string;
  readonly name: string;
  readonly attempts: number;
  readonly code: ClientErrorCode;
  /** For operators: not for clients. */
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What became of runs: `submitted` is the sum of the others and of those that have not ended. */
export interface TaskCounts {
  readonly submitted: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly rejected: number;
  /** Waiting for their turn, a delay included. */
  readonly waiting: number;
  readonly running: number;
}

/** How much is going on. */
export interface TaskStats extends TaskCounts {
  /** Waiting by priority. */
  readonly queued: Readonly<Record<TaskPriority, number>>;
  readonly delayed: number;
  readonly workers: { readonly alive: number; readonly busy: number; readonly lost: number };
}

/** Runs tasks within bounds. Everything that is submitted ends in exactly one of four ways. */
export interface TaskEngine {
  /** @throws TASK_UNKNOWN, INVALID_REQUEST, QUEUE_FULL, SHUTTING_DOWN, IDEMPOTENCY_MISMATCH */
  submit<N extends string>(name: N, input: TaskInput<N>, options?: SubmitOptions): TaskRun<TaskOutput<N>>;
  /** The run behind an id; undefined when there never was one or it is no longer kept. */
  find(taskId: string): TaskRun | undefined;
  /** Counts of one task since it was registered. */
  countsOf(name: string): TaskCounts | undefined;
  readonly stats: TaskStats;
  /** @deprecated The same as `stats`. */
  readonly figures?: TaskStats;
  /** The newest last. */
  readonly deadLetters: readonly DeadLetter[];
}

/** Provided by the plugin that runs tasks. */
export const TaskEngine = createToken<TaskEngine>('tasks');

interface TaskEvent {
  readonly taskId: string;
  readonly name: string;
}

declare module '../bus.js' {
  interface KernelEvents {
    /** A run was accepted. */
    'task:queued': TaskEvent & { readonly priority: TaskPriority };
    /** A try began. */
    'task:started': TaskEvent & { readonly attempt: number; readonly queuedMs: number };
    /** A try failed, and another one follows. */
    'task:retrying': TaskEvent & {
      readonly attempt: number;
      readonly delayMs: number;
      readonly code: string;
    };
    'task:succeeded': TaskEvent & { readonly queuedMs: number; readonly runMs: number };
    'task:failed': TaskEvent & {
      readonly code: string;
      readonly error: unknown;
      readonly attempts: number;
      readonly queuedMs: number;
      readonly runMs: number;
    };
    'task:cancelled': TaskEvent & {
      readonly attempts: number;
      readonly queuedMs: number;
      readonly runMs: number;
    };
    /** A run was not accepted: unknown, invalid, full, or shutting down. */
    'task:rejected': { readonly name: string; readonly code: string };
    /** A thread ended and another one takes its place. */
    'worker:lost': { readonly reason: string };
  }
}
