import { WaggleError } from '../../errors.js';
import { BackOff } from './back-off.js';
import { isBusy, isUnreachable } from './failure.js';

/** A list says more again when so much time has passed since an answer has failed, or has come. */
const suspicionMs = 30_000;
const trustMs = 5000;

/** What an agent knows of its server's health without asking: its answers show it. */
export class TrackRecord {
  readonly #agent: string;
  readonly #backOff = new BackOff();
  #why = '';
  #speaking = 0;
  #spokeAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #connectedAt = Number.NEGATIVE_INFINITY;

  constructor(agent: string) {
    this.#agent = agent;
  }

  /** Whether an answer has begun that is not over. */
  get isSpeaking(): boolean {
    return this.#speaking > 0;
  }

  /** A server that could not be reached is not asked again at once. @throws AGENT_UNAVAILABLE */
  leaveAlone(): void {
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

  /** The first token of an answer is there. */
  speaks(): void {
    this.#speaking++;
    this.isBack();
    this.#failedAt = Number.NEGATIVE_INFINITY;
  }

  /** That answer is over. */
  spoke(): void {
    this.#speaking--;
    this.#spokeAt = performance.now();
  }

  /** An answer has failed. */
  failed(failure: WaggleError): void {
    if (!isFault(failure)) return;
    this.#failedAt = performance.now();
    this.isOut(failure);
  }

  isBack(): void {
    this.#backOff.succeeded();
  }

  /** Keeps away from a server that cannot be reached; any other failure is none of these. */
  isOut(failure: WaggleError): void {
    // What is thrown here has no cause: it says nothing new.
    if (!isUnreachable(failure) || failure.cause === undefined) return;
    this.#why = failure.details?.why ?? '';
    this.#backOff.failed();
  }

  /** Whether answers may come though the list does not. */
  mayWork(failure: WaggleError, isUp: boolean): boolean {
    if (isUnreachable(failure)) return false;
    const now = performance.now();
    return now - this.#spokeAt < trustMs || (isUp && now - this.#failedAt >= suspicionMs);
  }
}

/** Whether it may be the server's own. */
function isFault(failure: WaggleError): boolean {
  if (WaggleError.is(failure, 'AGENT_FAILED')) return !failure.details?.refused && !failure.details?.model;
  return !isBusy(failure) && !WaggleError.is(failure, 'CONTEXT_TOO_LONG');
}
