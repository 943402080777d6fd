import { setImmediate as nextTurn } from 'node:timers/promises';
import { Watchdog } from './watchdog.js';

const ttlMs = 30_000;

/** Asks a model server for the names of its models. */
export type ListModels = (signal: AbortSignal) => Promise<readonly string[]>;

/** The models of a server, remembered, so that a reply does not wait for them. */
export class ModelList {
  readonly #list: ListModels;
  readonly #refreshTimeoutMs: number;
  readonly #closing = new AbortController();
  #names: readonly string[] = [];
  #at = Number.NEGATIVE_INFINITY;
  #refreshing = false;

  constructor(list: ListModels, refreshTimeoutMs: number) {
    this.#list = list;
    this.#refreshTimeoutMs = refreshTimeoutMs;
  }

  /** Those known, at once: a list that is old is asked for anew in the background. Only where none is known this asks first. */
  async known(signal: AbortSignal): Promise<readonly string[]> {
    const isOld = performance.now() - this.#at >= ttlMs;
    // An old list without a model helps nobody.
    if (isOld && this.#names.length === 0) return this.ask(signal);
    if (isOld && !this.#refreshing) void this.#refresh();
    return this.#names;
  }

  /** Asks now, and remembers the answer. @throws what the server's failure is */
  async ask(signal: AbortSignal): Promise<readonly string[]> {
    this.#names = await this.#list(signal);
    this.#at = performance.now();
    return this.#names;
  }

  /** The server says that it has no model `name`: a list that has it is wrong, so the next one who wants to know asks. */
  missing(name: string): void {
    if (!this.#names.includes(name) && !this.#names.includes(`${name}:latest`)) return;
    this.#names = [];
    this.#at = Number.NEGATIVE_INFINITY;
  }

  /** Stops what runs in the background. */
  close(): void {
    this.#closing.abort();
  }

  async #refresh(): Promise<void> {
    this.#refreshing = true;
    const watchdog = new Watchdog(this.#closing.signal);
    try {
      watchdog.watch(this.#refreshTimeoutMs, 'until it has listed its models');
      // The reply that waits for nothing here is the first to take up an idle connection.
      await nextTurn(undefined, { signal: watchdog.signal });
      await this.ask(watchdog.signal);
    } catch {
      // The old list stays. Where the server cannot be asked, the chat itself says why, and the next one tries this again.
    } finally {
      watchdog.stop();
      this.#refreshing = false;
    }
  }
}
