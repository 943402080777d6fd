import { WaggleError } from '../../errors.js';
import { isBusy, isUnreachable } from '../agent-failure.js';
import { BackOff } from '../back-off.js';

/** How long a failed answer, and a successful one, count for more than the list of models. */
const suspicionMs = 30_000;
const trustMs = 5000;

/** Health of a model server as its answers show it, without a request of its own. */
export class TrackRecord {
  readonly #agent: string;
  readonly #backOff = new BackOff();
  #why = '';
  #answering = 0;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #connectedAt = Number.NEGATIVE_INFINITY;

  constructor(agent: string) {
    this.#agent = agent;
  }

  /** Whether an answer is under way. */
  get isAnswering(): boolean {
    return this.#answering > 0;
  }

  /** Refuses requests during the back-off from a server that could not be reached. @throws AGENT_UNAVAILABLE */
  checkBackOff(): void {
    const { leftMs } = this.#backOff;
    if (this.#backOff.mayTry()) return;
    const retryAfterMs = Math.max(1, Math.ceil(leftMs));
    throw new WaggleError('AGENT_UNAVAILABLE', { agent: this.#agent, why: this.#why, retryAfterMs });
  }

  connected(): void {
    this.#connectedAt = performance.now();
  }

  hasConnectedSince(ms: number): boolean {
    return this.#connectedAt >= ms;
  }

  /** Records the first token of an answer. */
  answerBegan(): void {
    this.#answering++;
    this.reached();
    this.#failedAt = Number.NEGATIVE_INFINITY;
  }

  /** Records the end of that answer. */
  answerEnded(): void {
    this.#answering--;
    this.#answeredAt = performance.now();
  }

  /** Records an answer that came as a whole. */
  answered(): void {
    this.answerBegan();
    this.answerEnded();
  }

  /** Records a failed answer. */
  answerFailed(failure: WaggleError): void {
    if (!isFault(failure)) return;
    this.#failedAt = performance.now();
    this.notReached(failure);
  }

  reached(): void {
    this.#backOff.succeeded();
  }

  /** Starts the back-off after an unreachable server; ignores other failures. */
  notReached(failure: WaggleError): void {
    // An error of the back-off itself has no cause, and is nothing new.
    if (!isUnreachable(failure) || failure.cause === undefined) return;
    this.#why = failure.details?.why ?? '';
    this.#backOff.failed();
  }

  /** Whether answers are likely although the list of models fails. */
  mayWork(failure: WaggleError, isUp: boolean): boolean {
    if (isUnreachable(failure)) return false;
    const now = performance.now();
    return now - this.#answeredAt < trustMs || (isUp && now - this.#failedAt >= suspicionMs);
  }
}

/** Whether a failure may be a fault of the server. */
function isFault(failure: WaggleError): boolean {
  if (WaggleError.is(failure, 'AGENT_FAILED')) return !failure.details?.refused && !failure.details?.model;
  return !isBusy(failure) && !WaggleError.is(failure, 'CONTEXT_TOO_LONG');
}
