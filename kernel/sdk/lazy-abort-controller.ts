import type { Cancellation } from './cancellation.js';

const none: readonly (() => void)[] = [];

/**
 * An AbortController that creates its signal on first use: in Node.js 20 a signal costs as much as several tokens, and many
 * agents never read theirs.
 */
export class LazyAbortController implements Cancellation {
  #controller: AbortController | undefined;
  /** Replaced, not changed: a listener may remove others. */
  #listeners = none;
  #isAborted = false;
  #reason: unknown;

  isAborted(): boolean {
    return this.#isAborted;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#isAborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  onAbort(listener: () => void): void {
    this.#listeners = [...this.#listeners, listener];
  }

  offAbort(listener: () => void): void {
    this.#listeners = this.#listeners.filter((each) => each !== listener);
  }

  /** Aborts the signal. A second call has no effect. */
  abort(reason?: unknown): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    for (const listener of this.#listeners) listener();
    this.#listeners = none;
  }
}
