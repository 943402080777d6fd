import {
  type ClientErrorCode,
  capability,
  type SubmitOptions,
  type TaskPriority,
  type TaskRun,
  type TaskState,
  type TaskUpdate,
  WaggleError,
} from '#kernel';
import type { Kind } from './kind.js';
import { UpdateLog } from './update-log.js';

/** How a run ended. */
export type Outcome =
  | { readonly state: 'succeeded'; readonly output: unknown }
  | { readonly state: 'failed'; readonly error: WaggleError<ClientErrorCode> }
  | { readonly state: 'cancelled' };

/** Why a try is to stop. */
export type StopReason = 'cancel' | 'timeout';

interface Waiting {
  resolve(output: unknown): void;
  reject(error: unknown): void;
}

/** One run of one task: what is known of it, and who waits for it. What happens to it is the engine's business. */
export class Run implements TaskRun {
  readonly id = capability();
  readonly kind: Kind;
  readonly priority: TaskPriority;
  readonly timeoutMs: number;
  readonly options: SubmitOptions;
  readonly #updates: UpdateLog;
  readonly #cancelRun: (run: Run) => Promise<boolean>;
  /** Checked; a promise where its schema takes its time. Gone once it has ended. */
  input: unknown;
  state: TaskState = 'queued';
  attempts = 0;
  output: unknown;
  error: WaggleError<ClientErrorCode> | undefined;
  /** Takes it out of where it waits; undefined while it runs and when it has ended. */
  leave: (() => void) | undefined;
  /** Stops the try that runs. */
  stop: ((reason: StopReason) => void) | undefined;
  /** The number before it that was told last. */
  ahead = -1;
  #result: Promise<unknown> | undefined;
  readonly #waiting: Waiting[] = [];
  #waitingSince = performance.now();
  #startedAt = 0;
  #queuedMs = 0;
  #runMs = 0;

  constructor(
    kind: Kind,
    input: unknown,
    options: SubmitOptions,
    settled: {
      readonly priority: TaskPriority;
      readonly timeoutMs: number;
      readonly maxPartials: number;
      cancel(run: Run): Promise<boolean>;
    },
  ) {
    this.kind = kind;
    this.input = input;
    this.options = options;
    this.priority = settled.priority;
    this.timeoutMs = settled.timeoutMs;
    this.#cancelRun = settled.cancel;
    this.#updates = new UpdateLog(settled.maxPartials);
  }

  get name(): string {
    return this.kind.definition.name;
  }

  get ended(): boolean {
    return this.state === 'succeeded' || this.state === 'failed' || this.state === 'cancelled';
  }

  get queuedMs(): number {
    return this.#queuedMs + (this.leave ? performance.now() - this.#waitingSince : 0);
  }

  get runMs(): number {
    return this.state === 'running' ? performance.now() - this.#startedAt : this.#runMs;
  }

  get progress(): unknown {
    return this.#updates.progress;
  }

  // Made when somebody asks for it, so that a failure that nobody waits for is not an unhandled one.
  get result(): Promise<unknown> {
    this.#result ??= new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.ended) this.#settle();
    });
    return this.#result;
  }

  updates(): AsyncIterableIterator<readonly TaskUpdate[]> {
    return this.#updates.read();
  }

  cancel(): Promise<boolean> {
    return this.#cancelRun(this);
  }

  /** Resolves when it has ended, however that was. */
  whenEnded(): Promise<void> {
    return this.result.then(
      () => {},
      () => {},
    );
  }

  starts(): void {
    const now = performance.now();
    this.#queuedMs += now - this.#waitingSince;
    this.#startedAt = now;
    this.leave = undefined;
    this.state = 'running';
    this.attempts++;
  }

  /** A try is over. */
  pauses(): void {
    const now = performance.now();
    this.#runMs = now - this.#startedAt;
    this.#waitingSince = now;
    this.stop = undefined;
  }

  /** Keeps what it told. False when that is more than it may tell. */
  tells(updates: readonly TaskUpdate[]): boolean {
    return this.ended || this.#updates.add(updates);
  }

  ends(outcome: Outcome): void {
    if (this.leave) this.#queuedMs += performance.now() - this.#waitingSince;
    this.leave = undefined;
    this.stop = undefined;
    this.state = outcome.state;
    this.input = undefined;
    if (outcome.state === 'succeeded') this.output = outcome.output;
    else
      this.error =
        outcome.state === 'failed' ? outcome.error : new WaggleError('TASK_CANCELLED', { task: this.name });
    this.#updates.end();
    this.#settle();
  }

  #settle(): void {
    for (const { resolve, reject } of this.#waiting.splice(0))
      if (this.error) reject(this.error);
      else resolve(this.output);
  }
}
