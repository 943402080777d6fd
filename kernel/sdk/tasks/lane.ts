import type { TaskDefinition } from '../../contracts/task.js';
import type { Run } from './run.js';

/** A try under way. */
export interface Attempt {
  /** Settles when the try has really ended, or is left to itself. */
  readonly done: Promise<unknown>;
  /** Asks it to stop, and enforces that after the grace period. */
  stop(): void;
}

/** A place for tries: the main thread, or threads. */
export interface Lane {
  /** Number of tries that can begin now. */
  readonly free: number;
  /** Checks a task before its first run. @throws why it cannot run */
  accept(definition: TaskDefinition): void;
  /** Called only while `free` is above 0. */
  start(run: Run, input: unknown): Attempt;
  /** Drops an unregistered task. */
  forget(definition: TaskDefinition): Promise<void>;
  /** Ends all tries. */
  close(): Promise<void>;
}
