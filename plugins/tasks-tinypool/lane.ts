import type { TaskDefinition } from '#kernel';
import type { Run } from './run.js';

/** A try under way. */
export interface Attempt {
  /** Settles when the try has really ended, or was left to itself. */
  readonly done: Promise<unknown>;
  /** Asks it to stop, and sees to it that it does. */
  stop(): void;
}

/** Where tries take place. */
export interface Lane {
  /** How many more can begin now. */
  readonly free: number;
  /** Looks at a task before its first run. @throws what is wrong with it */
  accept(definition: TaskDefinition): void;
  /** Called only while something is free. */
  start(run: Run, input: unknown): Attempt;
  /** A task is no more. */
  forget(definition: TaskDefinition): Promise<void>;
  /** Ends whatever is left. */
  close(): Promise<void>;
}
