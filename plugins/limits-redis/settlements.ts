import { type Logger, WaggleError } from '#kernel';
import { settleWithin } from '#sdk';

/** A reservation that has to be replaced by what was used. */
interface Settlement {
  readonly key: string;
  readonly id: string;
  readonly used: number;
}

/** More than run at the same time; the rest counts as it was reserved. */
const maxPending = 100_000;
const retryMs = 1000;

/** Settles reservations, now or once Redis is back. */
export class Settlements {
  readonly #settle: (key: string, id: string, used: number) => Promise<void>;
  readonly #logger: Logger;
  readonly #pending = new Set<Settlement>();
  #timer: NodeJS.Timeout | undefined;

  constructor(settle: (key: string, id: string, used: number) => Promise<void>, logger: Logger) {
    this.#settle = settle;
    this.#logger = logger;
  }

  add(key: string, id: string, used: number): void {
    if (this.#pending.size >= maxPending) {
      this.#logger.warn('too many reservations wait for Redis: one stays as it is');
      return;
    }
    void this.#try({ key, id, used });
  }

  /** Tries all again that could not be settled. */
  async #retry(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await Promise.all([...this.#pending].map((each) => this.#try(each)));
  }

  async close(boundMs: number): Promise<void> {
    await settleWithin(this.#retry(), boundMs);
    clearTimeout(this.#timer);
    if (this.#pending.size > 0)
      this.#logger.warn({ reservations: this.#pending.size }, 'some tokens stay reserved, and count as used');
  }

  async #try(settlement: Settlement): Promise<void> {
    const { key, id, used } = settlement;
    this.#pending.add(settlement);
    try {
      await this.#settle(key, id, used);
      this.#pending.delete(settlement);
    } catch (error) {
      if (WaggleError.is(error, 'ENGINE_UNAVAILABLE')) {
        this.#timer ??= setTimeout(() => void this.#retry(), retryMs);
        return;
      }
      this.#pending.delete(settlement);
      this.#logger.error({ err: error }, 'tokens cannot be settled, and count as reserved');
    }
  }
}
