interface Waiter {
  readonly check: () => void;
  readonly fail: (error: Error) => void;
}

/** Promises that look again whenever something changed. */
export class Waiters {
  readonly #open = new Set<Waiter>();

  /** Resolves with the first value `find` gives; rejects after the bound. */
  until<T>(find: () => T | undefined, timeoutMs: number, what: () => string): Promise<T> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        this.#open.delete(waiter);
      };
      const fail = (error: unknown): void => {
        leave();
        reject(error);
      };
      const check = (): void => {
        try {
          const found = find();
          if (found === undefined) return;
          leave();
          resolve(found);
        } catch (error) {
          fail(error);
        }
      };
      const waiter: Waiter = { check, fail };
      const timer = setTimeout(() => fail(new Error(`not within ${timeoutMs} ms: ${what()}`)), timeoutMs);
      this.#open.add(waiter);
      check();
    });
  }

  /** Lets every waiter look again. */
  check(): void {
    for (const waiter of [...this.#open]) waiter.check();
  }

  /** Rejects whoever still waits. */
  fail(error: Error): void {
    for (const waiter of [...this.#open]) waiter.fail(error);
  }
}
