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
      try {
        listener(body, from);
      } catch (error) {
        this.#logger.error({ err: error, topic, node: from }, 'a message was not processed');
      }
  }
}
