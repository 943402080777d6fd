import { setImmediate as nextTurn } from 'node:timers/promises';
import { ExchangeError } from './exchange.js';
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
  #lateAt = Number.NEGATIVE_INFINITY;

  constructor(list: ListModels, refreshTimeoutMs: number) {
    this.#list = list;
    this.#refreshTimeoutMs = refreshTimeoutMs;
  }

  /** Those known now. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** Those known, at once: a list that is old is asked for anew in the background. Only where none is known this asks first. */
  async known(signal: AbortSignal): Promise<readonly string[]> {
    const isOld = performance.now() - this.#at >= ttlMs;
    // An old list without a model helps nobody.
    if (isOld && this.#names.length === 0) return this.#first(signal);
    this.freshen();
    return this.#names;
  }

  /** Asks in the background, where the list is old. */
  freshen(): void {
    if (performance.now() - this.#at >= ttlMs && !this.#refreshing) void this.#refresh();
  }

  /** The server has said that it does not have this one: the list is old. */
  forget(model: string): void {
    const left = this.#names.filter((name) => name !== model && name !== `${model}:latest`);
    if (left.length === this.#names.length) return;
    this.#names = left;
    this.#at = Number.NEGATIVE_INFINITY;
  }

  /** Asks now, and remembers the answer. @throws what the server's failure is */
  async ask(signal: AbortSignal): Promise<readonly string[]> {
    this.#names = await this.#list(signal);
    this.#at = performance.now();
    this.#lateAt = Number.NEGATIVE_INFINITY;
    return this.#names;
  }

  /** Stops what runs in the background. */
  close(): void {
    this.#closing.abort();
  }

  /** A list that does not come is waited for once in a while, not by each reply. */
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

/** What is thrown for it. */
export function late(): ExchangeError {
  return new ExchangeError('LATE', 'its list of models does not come');
}
