import type { Logger } from '#kernel';

/** So many in a row come at once, as when a page is loaded again. */
const free = 3;
/** Without one for so long, the next one is the first of a row. */
const rowMs = 10_000;
/** How long the older connection stays then. */
const delayMs = 500;
const maxRows = 1000;

/** Slows down clients that take one id from each other: each of them would come back at once, for ever. */
export class Takeovers {
  /** The newest last. */
  readonly #rows = new Map<string, { readonly count: number; readonly at: number }>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** How long the older connection of a client stays beside the newer one. `now` is a monotonic time in milliseconds. */
  next(clientId: string, now: number): number {
    const last = this.#rows.get(clientId);
    const count = last && now - last.at < rowMs ? last.count + 1 : 1;
    this.#rows.delete(clientId);
    this.#rows.set(clientId, { count, at: now });
    const [oldest] = this.#rows.keys();
    if (this.#rows.size > maxRows && oldest !== undefined) this.#rows.delete(oldest);
    if (count <= free) return 0;
    // Once, and then for ten times as many.
    if (/^10*$/.test(String(count - free)))
      this.#logger.warn({ clientId, takeovers: count }, 'several clients take one id from each other');
    return delayMs;
  }
}
