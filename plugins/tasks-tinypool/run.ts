import {
  type ClientErrorCode,
  type SubmitOptions,
  type TaskPriority,
  type TaskRun,
  type TaskState,
  type TaskUpdate,
  WaggleError,
} from '#kernel';
import { charsIn, randomId } from '#sdk';
import type { RegisteredTask } from './registered-task.js';
import { UpdateLog } from './update-log.js';

/** How a run ended. */
export type Outcome =
  | { readonly state: 'succeeded'; readonly output: unknown }
  | { readonly state: 'failed'; readonly error: WaggleError<ClientErrorCode> }
  | { readonly state: 'cancelled' };

/** Why a try is to stop. */
export type StopReason = 'cancel' | 'timeout' | 'full';

/** What a run wants of its owner. */
export interface RunEvents {
  cancel(run: Run): Promise<boolean>;
  /** It holds so many characters more; false when there is no room for them. */
  grew(chars: number): boolean;
}

interface Waiting {
  resolve(output: unknown): void;
  reject(error: unknown): void;
}

/** One run of one task: what is known of it, and who waits for it. What happens to it is the engine's business. */
export class Run implements TaskRun {
  readonly id = randomId();
  readonly kind: RegisteredTask;
  readonly priority: TaskPriority;
  readonly timeoutMs: number;
  /** What is kept of them once it has ended is the key. */
  options: SubmitOptions;
  readonly #updates: UpdateLog;
  readonly #events: RunEvents;
  #input: unknown;
  #inputChars = 0;
  #progressChars = 0;
  #chars = 0;
  state: TaskState = 'queued';
  attempts = 0;
  output: unknown;
  error: WaggleError<ClientErrorCode> | undefined;
  /** Takes it out of where it waits; undefined while it runs and when it has ended. */
  leave: (() => void) | undefined;
  /** Stops the try that runs. */
  stop: ((reason: StopReason) => void) | undefined;
  /** What it told found no room. */
  full = false;
  /** The number before it that was told last. */
  ahead = -1;
  #result: Promise<unknown> | undefined;
  readonly #waiting: Waiting[] = [];
  #waitingSince = performance.now();
  #startedAt = 0;
  #queuedMs = 0;
  #runMs = 0;

  constructor(
    kind: RegisteredTask,
    options: SubmitOptions,
    settled: {
      readonly priority: TaskPriority;
      readonly timeoutMs: number;
      readonly maxPartials: number;
    },
    events: RunEvents,
  ) {
    this.kind = kind;
    this.options = options;
    this.priority = settled.priority;
    this.timeoutMs = settled.timeoutMs;
    this.#events = events;
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

  /** Checked; undefined until then, and once it has ended. */
  get input(): unknown {
    return this.#input;
  }

  /** Characters of all that it holds. */
  get chars(): number {
    return this.#chars;
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
    return this.#events.cancel(this);
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

  /** Takes the input that was checked. False when there is no room for it. */
  takes(input: unknown): boolean {
    const chars = charsIn(input);
    if (!this.#hold(chars - this.#inputChars)) return false;
    this.#inputChars = chars;
    this.#input = input;
    return true;
  }

  /** Keeps what it told. False when that is more than it may tell. */
  tells(updates: readonly TaskUpdate[]): boolean {
    if (this.ended) return true;
    for (const { type, value } of updates) {
      const chars = charsIn(value);
      if (!this.#hold(type === 'progress' ? chars - this.#progressChars : chars)) {
        this.full = true;
        this.stop?.('full');
        return false;
      }
      if (type === 'progress') this.#progressChars = chars;
    }
    return this.#updates.add(updates);
  }

  /** Makes room for its result. False when there is none. */
  gives(output: unknown): boolean {
    return this.#hold(charsIn(output));
  }

  ends(outcome: Outcome): void {
    if (this.leave) this.#queuedMs += performance.now() - this.#waitingSince;
    this.leave = undefined;
    this.stop = undefined;
    this.state = outcome.state;
    this.#input = undefined;
    this.#hold(-this.#inputChars);
    const { owner, idempotencyKey } = this.options;
    this.options = { owner, idempotencyKey };
    if (outcome.state === 'succeeded') this.output = outcome.output;
    else
      this.error =
        outcome.state === 'failed' ? outcome.error : new WaggleError('TASK_CANCELLED', { task: this.name });
    this.#updates.end();
    this.#settle();
    // The cause may hold anything. Those who waited have it, and the log.
    if (this.error) this.error = new WaggleError(this.error.code, this.error.details);
    this.#result = undefined;
  }

  #hold(chars: number): boolean {
    this.#chars += chars;
    if (this.#events.grew(chars) || chars <= 0) return true;
    this.#hold(-chars);
    return false;
  }

  #settle(): void {
    for (const { resolve, reject } of this.#waiting.splice(0))
      if (this.error) reject(this.error);
      else resolve(this.output);
  }
}
