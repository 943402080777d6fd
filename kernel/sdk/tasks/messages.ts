import type { MessagePort } from 'node:worker_threads';
import type { TaskUpdate } from '../../contracts/task.js';

/** The first data of a thread. */
export interface Boot {
  readonly port: MessagePort;
  /** The number of the job that has to stop, for code that never reads its messages. */
  readonly stopped: Int32Array;
  readonly maxPartials: number;
}

/** One job for a thread; `seq` counts them. */
export interface Job {
  readonly type: 'run';
  readonly seq: number;
  readonly url: string;
  readonly taskId: string;
  readonly name: string;
  readonly attempt: number;
  readonly userId: string | undefined;
  readonly connection: string | undefined;
  readonly input: unknown;
}

/** To a thread. */
export type ToThread = Job | { readonly type: 'stop'; readonly seq: number };

/** An error as plain data. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** Of a `WaggleError`. */
  readonly code?: string | undefined;
  readonly details?: unknown;
}

/** From a thread. */
export type FromThread =
  | { readonly type: 'ready' }
  | { readonly type: 'updates'; readonly seq: number; readonly updates: readonly TaskUpdate[] }
  | { readonly type: 'done'; readonly seq: number; readonly output: unknown }
  | {
      readonly type: 'failed';
      readonly seq: number;
      readonly phase: 'load' | 'run' | 'result';
      readonly error: PlainError;
    }
  | {
      readonly type: 'log';
      readonly seq: number;
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly fields: object;
      readonly message: string | undefined;
    }
  /** An uncaught error of the running job: the thread ends. */
  | { readonly type: 'crashed'; readonly error: PlainError }
  /** An uncaught error of a job that has ended. */
  | { readonly type: 'stray'; readonly name: string; readonly error: PlainError }
  | { readonly type: 'exit'; readonly code: number };
