import type { AgentCall, Cancellation } from '../contracts/agent.js';

/** A signal, or the call of an agent, which may report its abort without one. */
export type AbortSource = AbortSignal | (Pick<AgentCall, 'signal'> & Partial<Cancellation>);

/** The signal of a source, created if necessary. */
export function signalOf(source: AbortSource): AbortSignal {
  return source instanceof AbortSignal ? source : source.signal;
}

/** The cheapest way to hear of an abort. */
export function cancellationOf(source: AbortSource): Cancellation {
  if (source instanceof AbortSignal) return new SignalCancellation(source);
  const { isAborted, onAbort, offAbort } = source;
  return isAborted && onAbort && offAbort ? (source as Cancellation) : new SignalCancellation(source.signal);
}

class SignalCancellation implements Cancellation {
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  isAborted(): boolean {
    return this.#signal.aborted;
  }

  onAbort(listener: () => void): void {
    this.#signal.addEventListener('abort', listener);
  }

  offAbort(listener: () => void): void {
    this.#signal.removeEventListener('abort', listener);
  }
}
