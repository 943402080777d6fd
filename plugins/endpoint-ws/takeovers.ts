import type { Logger } from '#kernel';

/** Takeovers in a row without a delay, as when a page is reloaded. */
const free = 3;
/** A row ends after this time without a takeover. */
const rowMs = 10_000;
/** Delay of further ones. */
const delayMs = 500;
const maxRows = 1000;

/** Slows down clients that share an id: each would take it back at once, for ever. */
export class Takeovers {
  /** Newest last. */
  readonly #rows = new Map<string, { readonly count: number; readonly at: number }>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Delay before the older connection of a client is closed. `key` names the client among all users', `now` is a monotonic time
   * in milliseconds.
   */
  next(key: string, clientId: string, now: number): number {
    const last = this.#rows.get(key);
    const count = last && now - last.at < rowMs ? last.count + 1 : 1;
    this.#rows.delete(key);
    this.#rows.set(key, { count, at: now });
    const [oldest] = this.#rows.keys();
    if (this.#rows.size > maxRows && oldest !== undefined) this.#rows.delete(oldest);
    if (count <= free) return 0;
    // At 1, 10, 100, …
    if (/^10*$/.test(String(count - free)))
      this.#logger.warn({ clientId, takeovers: count }, 'several clients use the same id');
    return delayMs;
  }
}
