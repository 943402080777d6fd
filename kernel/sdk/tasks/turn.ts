import type { SubmitOptions, TaskPriority, TaskState } from '../../contracts/task.js';
import type { ClientErrorCode, WaggleError } from '../../errors.js';
import { type Deferred, deferred } from '../deferred.js';
import type { Place } from '../linked-list.js';
import { randomId } from '../random-id.js';
import type { RegisteredTask } from './registered-task.js';

/** The end of a turn. */
export type Outcome =
  | { readonly state: 'succeeded'; readonly output: unknown }
  | { readonly state: 'failed'; readonly error: WaggleError<ClientErrorCode> }
  | { readonly state: 'cancelled' };

/** Why a running turn has to stop. */
export type StopReason = 'cancel' | 'timeout' | 'full';

/** One turn on a lane: the wait for it, and the time that it takes. The engine decides; this keeps the record. */
export abstract class Turn {
  readonly id: string;
  readonly kind: RegisteredTask;
  readonly priority: TaskPriority;
  /** The user; undefined where a plugin or a stranger asks. */
  readonly userId: string | undefined;
  state: TaskState = 'queued';
  attempts = 0;
  onQueued: ((ahead: number) => void) | undefined;
  /** Its place among all that have not ended. */
  unended: Place<Turn> | undefined;
  /** The number of turns ahead that was reported last. */
  ahead = -1;
  /** Takes it out of the line; undefined while it runs and once it has ended. */
  leave: (() => void) | undefined = () => {};
  /** Stops it while it runs. */
  stop: ((reason: StopReason) => void) | undefined;
  #over: Deferred<void> | undefined;
  #waitingSince = performance.now();
  #startedAt = 0;
  #queuedMs = 0;
  #runMs = 0;

  constructor(
    kind: RegisteredTask,
    priority: TaskPriority,
    { owner, onQueued }: Pick<SubmitOptions, 'owner' | 'onQueued'>,
    id = randomId(),
  ) {
    this.id = id;
    this.kind = kind;
    this.priority = priority;
    this.userId = owner;
    this.onQueued = onQueued;
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

  /** Resolves at its end. */
  async whenEnded(): Promise<void> {
    if (this.ended) return;
    this.#over ??= deferred();
    await this.#over.promise;
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

  ends({ state }: Outcome): void {
    this.#queuedMs = this.queuedMs;
    this.leave = undefined;
    this.stop = undefined;
    this.onQueued = undefined;
    this.state = state;
    this.#over?.resolve();
  }
}

/** Fields of every log line about a turn. */
export function bindingsOf({ name, id, userId }: Turn) {
  // The full id would give access to the run.
  return { task: name, taskId: id.slice(0, 6), userId };
}
