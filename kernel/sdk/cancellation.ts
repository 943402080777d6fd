import { LazySignal } from './lazy-signal.js';

/** An abort to hear of. Without an AbortSignal, which costs Node.js 20 as much as several tokens, where the source has none yet. */
export interface Cancellation {
  isAborted(): boolean;
  /** Adds a listener for the abort; it is not called for one that has already happened. */
  onAbort(listener: () => void): void;
  /** Removes a listener. */
  offAbort(listener: () => void): void;
}

/** A signal, or options that have one. */
export type AbortSource = AbortSignal | { readonly signal?: AbortSignal | undefined };

/** The signal of a source, created if necessary. */
export function signalOf(source: AbortSource): AbortSignal | undefined {
  return source instanceof AbortSignal ? source : source.signal;
}

/** The abort of a source; one that never happens where there is no signal. */
export function cancellationOf(source: AbortSource): Cancellation {
  const abort = LazySignal.abortOf(source);
  if (abort) return abort;
  const signal = signalOf(source);
  return signal ? new SignalCancellation(signal) : never;
}

const never: Cancellation = { isAborted: () => false, onAbort() {}, offAbort() {} };

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
