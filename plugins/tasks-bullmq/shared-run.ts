import {
  type ClientErrorCode,
  type TaskPriority,
  type TaskRun,
  type TaskState,
  type TaskUpdate,
  WaggleError,
} from '#kernel';
import { charsIn, type Deferred, deferred } from '#sdk';
import { UpdateLog } from '#sdk/tasks';
import type { Entry } from './ledger.js';
import type { Line, TaskData } from './line.js';
import { errorOf, type Outcome } from './outcome.js';

/** The owner of a run. */
export interface RunOwner {
  cancel(run: SharedRun): Promise<boolean>;
  /** The run holds more characters; false when there is no room for them. */
  grew(chars: number): boolean;
}

/** The start of a run, as this node knows it. */
export interface SharedRunOptions {
  readonly id: string;
  readonly line: Line;
  readonly data: TaskData;
  readonly maxPartials: number;
  readonly delayMs: number;
  /** Present on the node that has accepted it. */
  readonly entry?: Entry | undefined;
  readonly onQueued?: ((ahead: number) => void) | undefined;
}

/** One run, wherever it runs: what this node has heard of it. */
export class SharedRun implements TaskRun {
  readonly id: string;
  readonly line: Line;
  data: TaskData;
  readonly delayMs: number;
  readonly entry: Entry | undefined;
  onQueued: ((ahead: number) => void) | undefined;
  /** The number of jobs ahead that was reported last. */
  ahead = -1;
  keyId: string | undefined;
  /** It is in Redis, and the bus was told. */
  isAnnounced = false;
  state: TaskState;
  attempts = 0;
  output: unknown;
  error: WaggleError<ClientErrorCode> | undefined;
  chars: number;
  /** The node that runs it. */
  runner: string | undefined;
  /** Updates heard from that node. */
  heard = 0;
  readonly #owner: RunOwner;
  readonly #updates: UpdateLog;
  readonly #over = deferred();
  #result: Deferred<unknown> | undefined;
  #leftBehind: WaggleError<ClientErrorCode> | undefined;
  #waitingSince = performance.now();
  #startedAt = 0;
  #queuedMs = 0;
  #runMs = 0;

  constructor(options: SharedRunOptions, owner: RunOwner) {
    const { id, line, data, maxPartials, delayMs, entry, onQueued } = options;
    this.id = id;
    this.line = line;
    this.data = data;
    this.delayMs = delayMs;
    this.entry = entry;
    this.onQueued = onQueued;
    this.state = delayMs > 0 ? 'delayed' : 'queued';
    this.chars = charsIn(data.input);
    this.#owner = owner;
    this.#updates = new UpdateLog(maxPartials);
  }

  get name(): string {
    return this.data.name;
  }

  get priority(): TaskPriority {
    return this.data.priority;
  }

  get ended(): boolean {
    return this.state === 'succeeded' || this.state === 'failed' || this.state === 'cancelled';
  }

  get isWaiting(): boolean {
    return this.state === 'queued' || this.state === 'delayed';
  }

  get queuedMs(): number {
    return this.#queuedMs + (this.isWaiting ? performance.now() - this.#waitingSince : 0);
  }

  get runMs(): number {
    return this.state === 'running' ? performance.now() - this.#startedAt : this.#runMs;
  }

  get progress(): unknown {
    return this.#updates.latest?.value;
  }

  // Made on demand, so that a failure without a listener is not an unhandled rejection.
  get result(): Promise<unknown> {
    this.#result ??= deferred();
    this.#settle();
    return this.#result.promise;
  }

  /** Resolves at its end, or when this node stops to follow it. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  updates(): AsyncIterableIterator<readonly TaskUpdate[]> {
    return this.#updates.read();
  }

  cancel(): Promise<boolean> {
    return this.#owner.cancel(this);
  }

  /** All updates so far, each partial result and the newest progress. */
  get told(): readonly TaskUpdate[] {
    const { partials, latest } = this.#updates;
    return latest ? [...partials, latest] : partials;
  }

  /** A node has begun a try. */
  starts(runner: string, attempt: number): void {
    if (this.ended) return;
    if (this.runner !== runner) this.heard = 0;
    this.runner = runner;
    const now = performance.now();
    if (this.isWaiting) this.#queuedMs += now - this.#waitingSince;
    this.#startedAt = now;
    this.attempts = attempt;
    this.state = 'running';
    this.onQueued = undefined;
  }

  /** A try is over, and it waits for the next one. */
  waits(state: 'queued' | 'delayed'): void {
    if (this.ended) return;
    const now = performance.now();
    if (this.state === 'running') {
      this.#runMs = now - this.#startedAt;
      this.#waitingSince = now;
    }
    this.state = state;
  }

  tells(updates: readonly TaskUpdate[]): void {
    if (this.ended) return;
    const chars = charsIn(updates);
    // Without room they are missing here; the run itself is bounded where it runs.
    if (!this.#owner.grew(chars)) {
      this.#owner.grew(-chars);
      return;
    }
    this.chars += chars;
    this.#updates.add(updates);
  }

  /** `cause` is for those who wait for the result on the node that ran it. */
  ends(outcome: Outcome, cause?: WaggleError<ClientErrorCode>): void {
    this.#queuedMs = outcome.queuedMs;
    this.#runMs = outcome.runMs;
    this.attempts = outcome.attempts;
    this.output = outcome.output;
    this.onQueued = undefined;
    this.state = outcome.state;
    this.error = cause ?? errorOf(outcome, this.name);
    this.#updates.end();
    this.#settle();
    this.error = errorOf(outcome, this.name);
    this.#result = undefined;
    this.#over.resolve();
  }

  forgetInput(): void {
    this.data = { ...this.data, input: undefined };
  }

  /** This node stops, and leaves it to the others. */
  leaves(): void {
    if (this.ended) return;
    this.#leftBehind = new WaggleError('SHUTTING_DOWN', {});
    this.onQueued = undefined;
    this.#updates.end();
    this.#settle();
    this.#over.resolve();
  }

  #settle(): void {
    const failure = this.ended ? this.error : this.#leftBehind;
    if (failure) this.#result?.reject(failure);
    else if (this.ended) this.#result?.resolve(this.output);
  }
}
