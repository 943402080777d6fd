import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { ClientErrorCode, WaggleError } from '../errors.js';
import { createToken } from '../services.js';
import type { Principal } from './access.js';
import type { EngineUser } from './engine-user.js';

/** In ascending order: the last is served first. */
export const taskPriorities = ['low', 'normal', 'high', 'urgent'] as const;
/** How urgent a task is. */
export type TaskPriority = (typeof taskPriorities)[number];

/**
 * Inputs and outputs of tasks by name. Add yours:
 * `declare module 'waggle-server' { interface TaskTypes { 'text:count': { input: { text: string }; output: number } } }`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be added to
export interface TaskTypes {}
/** The input of a task; unknown where its name is not in `TaskTypes`. */
export type TaskInput<N extends string> = N extends keyof TaskTypes
  ? TaskTypes[N] extends { readonly input: infer Input }
    ? Input
    : unknown
  : unknown;
/** The output of a task; unknown where its name is not in `TaskTypes`. */
export type TaskOutput<N extends string> = N extends keyof TaskTypes
  ? TaskTypes[N] extends { readonly output: infer Output }
    ? Output
    : unknown
  : unknown;

/** The logger of a task, on any thread. */
export type TaskLogger = Readonly<
  Record<'debug' | 'info' | 'warn' | 'error', (fields: object, message?: string) => void>
>;

/** The second argument of a task's function: the run that calls it. */
export interface TaskCall {
  readonly taskId: string;
  /** 1 for the first try, one more with each retry. */
  readonly attempt: number;
  /** The user who has submitted it; undefined where a plugin or a stranger has. */
  readonly userId?: string | undefined;
  /** The WebSocket that its frame came from. */
  readonly connection?: string | undefined;
  /** Aborts on a cancel and at the time limit. */
  readonly signal: AbortSignal;
  /** The same, for a loop that never yields to the event loop. */
  readonly cancelled: boolean;
  readonly logger: TaskLogger;
  /** Reports progress: any plain data. Readers get the newest. */
  readonly progress: (value: unknown) => void;
  /** Reports a part of the result before the end: any plain data. Readers get all of them, in order. */
  readonly partial: (value: unknown) => void;
}

/** Retries after a failure: exponential back-off with full jitter. */
export interface TaskRetries {
  /** Tries after the first one. */
  readonly max: number;
  /** The longest wait before the first retry; it doubles with each one. 200 when absent. */
  readonly baseMs?: number;
  /** The longest wait before any retry. 10,000 when absent. */
  readonly maxMs?: number;
}

/** The times at which a task runs by itself. */
export interface TaskSchedule {
  /** `0 7 * * *`: minute, hour, day, month and weekday, with a sixth field at the beginning for the second; or `@daily`. */
  readonly cron: string;
  /** `Europe/Berlin`. That of the server when absent. */
  readonly timeZone?: string | undefined;
  /** `{}` when absent. */
  readonly input?: unknown;
}

/** How models get a task as a tool. */
export interface ToolSettings {
  /** `ask`: a person has to allow each call. */
  readonly approval?: 'ask';
  /** For the model; the description of the task when absent. */
  readonly description?: string;
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
  /** Time limit of one try. The engine's own limit when absent. */
  readonly timeoutMs?: number;
  /** None when absent. */
  readonly retries?: TaskRetries;
  /** Runs at the same time. Only the lane's own limit when absent. */
  readonly concurrency?: number;
  /** Waiting runs. Only the engine's own limit when absent. */
  readonly maxQueued?: number;
  /**
   * Whether it may run again after its server was lost in the middle: with `never` it has failed then. Of interest only to engines
   * whose tasks outlive a server. `always` when absent.
   */
  readonly rerun?: 'always' | 'never';
  /** Runs it by itself, also as the cron expression alone. A run that would overlap with the one before is missed. */
  readonly schedule?: string | TaskSchedule;
  /** Whether clients may run it, with `task` frames and over HTTP. Only plugins when absent. */
  readonly exposed?: boolean;
  /**
   * Makes its name a type of WebSocket frames: their other fields are the input, and updates and output go back as frames
   * (an object as it is, with the task's name as `type` unless it has its own; anything else as `output`).
   */
  readonly message?: boolean;
  /**
   * Whether models may call it: those of the agents whose config lists it. It needs an `input`, whose JSON Schema tells the
   * model what to write and describes an object.
   */
  readonly tool?: true | ToolSettings;
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

/** A task of the main lane as a class; tsyringe injects its constructor's parameters. Pass the class to `registerTask`. */
export abstract class BaseTask<Input = unknown, Output = unknown> {
  abstract readonly name: string;
  readonly lane = 'main';
  abstract run(input: Input, call: TaskCall): Output | Promise<Output>;
}

/** Options of one run. */
export interface SubmitOptions {
  /** Limited by `maxPriority` of the engine's config; the definition's own priority when absent. */
  readonly priority?: TaskPriority | undefined;
  /** Time limit of each try; it can only shorten that of the definition or the engine. */
  readonly timeoutMs?: number | undefined;
  readonly delayMs?: number | undefined;
  /** The user. Without one `idempotencyKey` has no effect: strangers share no runs. */
  readonly owner?: string | undefined;
  /** The WebSocket that the request came from. */
  readonly connection?: string | undefined;
  /** The same key of the same owner for the same task and input (as JSON) returns the same run while that is kept and has not failed. */
  readonly idempotencyKey?: string | undefined;
  /** Called while it waits, with the number of runs ahead. */
  readonly onQueued?: ((ahead: number) => void) | undefined;
  /** Part of work that runs already, such as a tool of a reply: an engine that drains takes it, as that work may go on until the deadline. */
  readonly isPart?: boolean | undefined;
}

/** A request for a place on the main lane. */
export interface AdmitOptions extends Pick<SubmitOptions, 'priority' | 'onQueued' | 'owner' | 'isPart'> {
  /** Aborted while it waits, it leaves the line; aborted later, it counts as cancelled once the place is released. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the engine wants the place back (it stops, or the task is unregistered) and soon takes it. */
  readonly onStop?: (() => void) | undefined;
}

/** Gives a place back, with the error of work that has failed. Later calls do nothing. */
export type Release = (failure?: unknown) => void;

/** The state of a run; `delayed` until its start or its retry is due. */
export type TaskState = 'delayed' | 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** A report of a running task. */
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
  /** Milliseconds of waiting so far, and of the last try. */
  readonly queuedMs: number;
  readonly runMs: number;
  /** The newest progress. */
  readonly progress: unknown;
  readonly output: Output | undefined;
  readonly error: WaggleError<ClientErrorCode> | undefined;
  /** True for a run that did not stop when it was told to, and was left to itself. */
  readonly abandoned?: boolean;
  /** Rejects with the failure, or TASK_CANCELLED. */
  readonly result: Promise<Output>;
  /** All updates from the beginning. Each pull returns the new ones: every `partial`, and the newest `progress`. */
  updates(): AsyncIterableIterator<readonly TaskUpdate[]>;
  /** Resolves when it has stopped: true after a cancel by this call or an earlier one, false if it had ended before. */
  cancel(): Promise<boolean>;
}

/** A run that used up its tries or crashed its thread. */
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

/** Counts of runs: `submitted` is the sum of all others. */
export interface TaskCounts {
  readonly submitted: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly rejected: number;
  /** Waiting, delayed ones included. */
  readonly waiting: number;
  readonly running: number;
}

/** Counts of all tasks and the threads. */
export interface TaskStats extends TaskCounts {
  /** Waiting by priority. */
  readonly queued: Readonly<Record<TaskPriority, number>>;
  readonly delayed: number;
  readonly workers: { readonly alive: number; readonly busy: number; readonly lost: number };
  /** Runs that this process has put back into the line because their server was lost; absent where none can be. */
  readonly stalled?: number;
}

/** Runs tasks within bounds. Each submission ends in exactly one way: succeeded, failed, cancelled or rejected. */
export interface TaskEngine extends EngineUser {
  /**
   * Resolves once the run is accepted; `onQueued` may be called before that.
   * @throws TASK_UNKNOWN, INVALID_REQUEST, QUEUE_FULL, SHUTTING_DOWN, IDEMPOTENCY_MISMATCH
   */
  submit<N extends string>(
    name: N,
    input: TaskInput<N>,
    options?: SubmitOptions,
  ): Promise<TaskRun<TaskOutput<N>>>;
  /**
   * A place on the main lane of this process for work that the caller runs, bounds and ends itself, under the name and the limits of a
   * registered task. It waits, counts and is announced like a run, but cannot be found by its id.
   * @throws at once TASK_UNKNOWN, INVALID_REQUEST, QUEUE_FULL, SHUTTING_DOWN; the promise rejects with TASK_CANCELLED
   */
  admit(name: string, options?: AdmitOptions): Promise<Release>;
  /**
   * The run with this id; undefined when it never existed, is no longer kept, or belongs to another user than `principal`.
   * Without one, in an open server, the id alone gives access.
   */
  find(taskId: string, principal?: Principal): Promise<TaskRun | undefined>;
  /** Counts of one task since it was registered in this process. */
  countsOf(name: string): TaskCounts | undefined;
  readonly stats: TaskStats;
  /** @deprecated The same as `stats`. */
  readonly figures?: TaskStats;
  /** In order of failure: the newest last. */
  deadLetters(): Promise<readonly DeadLetter[]>;
}

/** Provided by the plugin that runs tasks. */
export const TaskEngine = createToken<TaskEngine>('tasks');

/** A task that runs by itself. Times are in milliseconds since 1970. */
export interface ScheduledTask {
  readonly cron: string;
  readonly timeZone: string;
  readonly nextAt: number;
  /** Absent before the first run since the start. */
  readonly lastAt?: number | undefined;
  /** Missed runs since the start. */
  readonly missed: number;
}

/** Runs tasks by their schedules. */
export interface TaskSchedules {
  find(name: string): ScheduledTask | undefined;
}

/** Provided by the plugin that runs tasks by their schedules. */
export const TaskSchedules = createToken<TaskSchedules>('schedules');

/** Why a scheduled run was missed: too late, the one before was still running, or the engine has refused it. */
export type MissedReason = 'late' | 'running' | 'refused';

interface TaskEvent {
  readonly taskId: string;
  readonly name: string;
  readonly userId?: string | undefined;
}

declare module './bus.js' {
  interface KernelEvents {
    /** A run was accepted. */
    'task:queued': TaskEvent & { readonly priority: TaskPriority };
    /** A try began. */
    'task:started': TaskEvent & { readonly attempt: number; readonly queuedMs: number };
    /** A try failed, and a retry follows. */
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
    'task:rejected': { readonly name: string; readonly code: string; readonly userId?: string | undefined };
    /** Scheduled runs did not take place: `count`, the last of them due at `dueAt`, in milliseconds since 1970. */
    'task:missed': {
      readonly name: string;
      readonly dueAt: number;
      readonly count: number;
      readonly reason: MissedReason;
      readonly code?: string;
    };
    /** A thread ended and is replaced. */
    'worker:lost': { readonly reason: string };
  }
}
