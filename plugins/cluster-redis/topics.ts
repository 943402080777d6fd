import type { Logger, Undo } from '#kernel';

type Listener = (body: unknown, from: string) => void;

/** Listeners for messages of other nodes, by topic. */
export class Topics {
  readonly #logger: Logger;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(topic: string, listener: Listener): Undo {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) this.#listeners.delete(topic);
    };
  }

  /** Calls all listeners, also after one has failed. */
  deliver(topic: string, body: unknown, from: string): void {
    for (const listener of [...(this.#listeners.get(topic) ?? [])])
      guarded(
        () => listener(body, from),
        (error) => this.#logger.error({ err: error, topic, node: from }, 'a message was not processed'),
      );
  }
}

/** Calls a listener whose failure is reported, also that of a promise that it returns. */
export function guarded(call: () => unknown, failed: (error: unknown) => void): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch(failed);
  } catch (error) {
    failed(error);
  }
}
