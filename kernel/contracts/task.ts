import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Logger } from '../logger.js';

/** How urgent a task is. */
export type TaskPriority = 'low' | 'normal' | 'high' | 'urgent';

/** What comes with a call of a main-lane task. */
export interface TaskCall {
  /** Aborts when the result is no longer wanted. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Tells whoever waits how far the work is: any plain data. */
  progress(value: unknown): void;
}

/** A piece of work by name. `worker` runs a module on a thread, `main` an async function that mostly waits. */
export type TaskDefinition<Input = unknown, Output = unknown> = {
  /** `noun:verb` */
  readonly name: string;
  readonly description?: string;
  readonly input?: StandardSchemaV1<unknown, Input>;
  readonly output?: StandardSchemaV1<unknown, Output>;
  readonly priority?: TaskPriority;
  readonly timeoutMs?: number;
} & (
  | { readonly lane: 'worker'; readonly module: URL }
  | { readonly lane: 'main'; run(input: Input, call: TaskCall): Promise<Output> }
);
