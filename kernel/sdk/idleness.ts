/** Extra time after a deadline for the last data to reach slow readers. */
const farewellMs = 1000;

/** Waits for connections that have something to deliver. */
export class Idleness<Session extends { readonly idle: boolean }> {
  readonly #open: ReadonlySet<Session>;
  /** The session that the drain waits for. */
  #awaited: { readonly session: Session; readonly resolve: () => void } | undefined;

  /** `open` has the open connections, as it is at each moment. */
  constructor(open: ReadonlySet<Session>) {
    this.#open = open;
  }

  /** To be called when a session may have become idle, or has closed. */
  changed(): void {
    const { session, resolve } = this.#awaited ?? {};
    if (session && (session.idle || !this.#open.has(session))) resolve?.();
  }

  /** Resolves when all are idle, or soon after the deadline. */
  async wait(deadline: AbortSignal): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      const wait = () => {
        late = setTimeout(resolve, farewellMs);
      };
      if (deadline.aborted) wait();
      else deadline.addEventListener('abort', wait, { once: true });
    });
    await Promise.race([this.#allIdle(), over]);
    clearTimeout(late);
    this.#awaited = undefined;
  }

  /** Waits for one session at a time: checking all of them on each delivery would be quadratic. */
  async #allIdle(): Promise<void> {
    let waited: boolean;
    do {
      waited = false;
      for (const session of this.#open) {
        if (session.idle) continue;
        await new Promise<void>((resolve) => {
          this.#awaited = { session, resolve };
        });
        waited = true;
      }
      // Earlier sessions may have resumed a reply meanwhile.
    } while (waited);
  }
}
