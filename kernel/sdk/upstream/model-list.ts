import { setImmediate as nextTurn } from 'node:timers/promises';
import { ExchangeError } from './exchange-error.js';
import { Watchdog } from './watchdog.js';

const ttlMs = 30_000;

/** Requests the names of a server's models. */
export type ListModels = (signal: AbortSignal) => Promise<readonly string[]>;

/** Cache of a server's models, so that replies do not wait for them. */
export class ModelList {
  readonly #list: ListModels;
  readonly #refreshTimeoutMs: number;
  readonly #closing = new AbortController();
  #names: readonly string[] = [];
  #at = Number.NEGATIVE_INFINITY;
  #refreshing = false;
  #lateAt = Number.NEGATIVE_INFINITY;

  constructor(list: ListModels, refreshTimeoutMs: number) {
    this.#list = list;
    this.#refreshTimeoutMs = refreshTimeoutMs;
  }

  /** The cached names. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** Cached names. A stale list is refreshed in the background; only an empty cache blocks. */
  async known(signal: AbortSignal): Promise<readonly string[]> {
    return this.cached() ?? this.#first(signal);
  }

  /** Cached names, without a wait; undefined for none. A stale list is refreshed in the background. */
  cached(): readonly string[] | undefined {
    // A stale list without a model is of no use.
    if (this.#names.length === 0 && performance.now() - this.#at >= ttlMs) return undefined;
    this.freshen();
    return this.#names;
  }

  /** Refreshes a stale list in the background. */
  freshen(): void {
    if (performance.now() - this.#at >= ttlMs && !this.#refreshing) void this.#refresh();
  }

  /** Removes a model that the server has reported missing, and marks the list as stale. */
  forget(model: string): void {
    const left = this.#names.filter((name) => name !== model && name !== `${model}:latest`);
    if (left.length === this.#names.length) return;
    this.#names = left;
    this.#at = Number.NEGATIVE_INFINITY;
  }

  /** Requests the list now and caches it. @throws the failure of the request */
  async ask(signal: AbortSignal): Promise<readonly string[]> {
    this.#names = await this.#list(signal);
    this.#at = performance.now();
    this.#lateAt = Number.NEGATIVE_INFINITY;
    return this.#names;
  }

  /** Stops a background refresh. */
  close(): void {
    this.#closing.abort();
  }

  /** Blocks on the first list. After a timeout only a later refresh may try again, not each reply. */
  async #first(signal: AbortSignal): Promise<readonly string[]> {
    if (performance.now() - this.#lateAt < ttlMs) {
      this.freshen();
      throw late();
    }
    const watchdog = new Watchdog(signal);
    try {
      watchdog.watch(this.#refreshTimeoutMs, 'until it has listed its models');
      return await this.ask(watchdog.signal);
    } catch (error) {
      if (!watchdog.expired) throw error;
      this.#lateAt = performance.now();
      throw late();
    } finally {
      watchdog.stop();
    }
  }

  async #refresh(): Promise<void> {
    this.#refreshing = true;
    const watchdog = new Watchdog(this.#closing.signal);
    try {
      watchdog.watch(this.#refreshTimeoutMs, 'until it has listed its models');
      // The reply under way gets an idle connection first.
      await nextTurn(undefined, { signal: watchdog.signal });
      await this.ask(watchdog.signal);
    } catch {
      // The old list stays. If the server is down, the chat request itself reports it, and the next one tries this again.
    } finally {
      watchdog.stop();
      this.#refreshing = false;
    }
  }
}

/** The error for a list that was not received in time. */
export function late(): ExchangeError {
  return new ExchangeError('LATE', 'its list of models does not come');
}
