import type { SubmitOptions, TaskPriority, TaskRun, TaskUpdate } from '../../contracts/task.js';
import { type ClientErrorCode, WaggleError } from '../../errors.js';
import { charsIn } from '../chars.js';
import { type Deferred, deferred } from '../deferred.js';
import type { RegisteredTask } from './registered-task.js';
import { type Outcome, Turn } from './turn.js';
import { UpdateLog } from './update-log.js';

/** The owner of a run. */
export interface RunEvents {
  cancel(run: Run): Promise<boolean>;
  /** The run holds more characters; false when there is no room for them. */
  grew(chars: number): boolean;
}

/** One run of one task, with its input, its updates and its result. */
export class Run extends Turn implements TaskRun {
  readonly timeoutMs: number;
  keyId: string | undefined;
  /** Empty after the end. */
  options: SubmitOptions;
  readonly #updates: UpdateLog;
  readonly #events: RunEvents;
  /** Checked; undefined until then, and after the end. */
  input: unknown;
  /** Characters of input, updates and result. */
  chars = 0;
  #inputChars = 0;
  #progressChars = 0;
  output: unknown;
  error: WaggleError<ClientErrorCode> | undefined;
  /** Called with updates once they are kept. */
  onUpdates: ((updates: readonly TaskUpdate[]) => void) | undefined;
  /** An update found no room. */
  full = false;
  abandoned = false;
  #result: Deferred<unknown> | undefined;

  constructor(
    kind: RegisteredTask,
    options: SubmitOptions,
    priority: TaskPriority,
    timeoutMs: number,
    maxPartials: number,
    events: RunEvents,
    id?: string,
  ) {
    super(kind, priority, options, id);
    this.options = options;
    this.timeoutMs = timeoutMs;
    this.#events = events;
    this.#updates = new UpdateLog(maxPartials);
  }

  get progress(): unknown {
    return this.#updates.latest?.value;
  }

  // Made on demand, so that a failure without a listener is not an unhandled rejection.
  get result(): Promise<unknown> {
    this.#result ??= deferred();
    if (this.ended) this.#settle();
    return this.#result.promise;
  }

  updates(): AsyncIterableIterator<readonly TaskUpdate[]> {
    return this.#updates.read();
  }

  cancel(): Promise<boolean> {
    return this.#events.cancel(this);
  }

  /** Takes the checked input. False when there is no room for it. */
  takes(input: unknown): boolean {
    const chars = charsIn(input);
    if (!this.#hold(chars - this.#inputChars)) return false;
    this.#inputChars = chars;
    this.input = input;
    return true;
  }

  /** Keeps updates. False when there are more than allowed. */
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
    if (!this.#updates.add(updates)) return false;
    this.onUpdates?.(updates);
    return true;
  }

  /** Makes room for its result. False when there is none. */
  gives(output: unknown): boolean {
    return this.#hold(charsIn(output));
  }

  override ends(outcome: Outcome): void {
    super.ends(outcome);
    this.input = undefined;
    this.#hold(-this.#inputChars);
    this.options = {};
    if (outcome.state === 'succeeded') this.output = outcome.output;
    else
      this.error =
        outcome.state === 'failed' ? outcome.error : new WaggleError('TASK_CANCELLED', { task: this.name });
    this.#updates.end();
    this.#settle();
    // Kept without its cause, which may hold anything; the log and those who waited have that.
    if (this.error) this.error = new WaggleError(this.error.code, this.error.details);
    this.#result = undefined;
  }

  #hold(chars: number): boolean {
    this.chars += chars;
    if (this.#events.grew(chars) || chars <= 0) return true;
    this.#hold(-chars);
    return false;
  }

  #settle(): void {
    if (this.error) this.#result?.reject(this.error);
    else this.#result?.resolve(this.output);
  }
}
