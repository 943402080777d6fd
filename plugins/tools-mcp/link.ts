import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '#kernel';
import { type Deferred, deferred, settleWithin } from '#sdk';
import type { Connection } from './connection.js';
import { Fault, faultOf } from './fault.js';
import { Pauses } from './pauses.js';
import type { Secrets } from './secrets.js';
import type { Listing } from './tool-pages.js';

/** Settings of a link. */
export interface LinkSettings {
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  readonly logger: Logger;
  readonly secrets: Secrets;
  /** @throws Fault */
  connect(signal: AbortSignal): Promise<Connection>;
  /** Takes the tools as they are now. */
  listed(listing: Listing): Promise<void>;
}

/** The pause between two looks at a list that keeps changing. */
const refreshPauseMs = 100;

/** A server for as long as the plugin runs: one connection after the other. */
export class Link {
  readonly #settings: LinkSettings;
  readonly #abort = new AbortController();
  readonly #pauses: Pauses;
  /** Settled when the first try has ended, for good or ill. */
  readonly #first = deferred();
  /** All connections of which something is left: lost ones end with their calls. */
  readonly #open = new Set<Connection>();
  #current: Connection | undefined;
  #next: Deferred<Connection> = deferred();
  #trouble: string | undefined;
  #running: Promise<void> | undefined;
  #isStale = false;
  #isRefreshing = false;

  constructor(settings: LinkSettings) {
    this.#settings = settings;
    this.#pauses = new Pauses(settings.reconnectMinMs, settings.reconnectMaxMs);
  }

  /** Begins to connect. Resolves when the first try has ended. */
  start(): Promise<void> {
    this.#running ??= this.#run();
    return this.#first.promise;
  }

  /** The connection, or the next one if it comes in time. @throws Fault */
  async connection(waitMs: number, signal: AbortSignal): Promise<Connection> {
    if (this.#current) return this.#current;
    const late = deferred();
    const timer = setTimeout(late.resolve, waitMs);
    const next = this.#next.promise.then(() => {});
    try {
      await settleWithin(Promise.race([next, late.promise]), signal);
    } finally {
      clearTimeout(timer);
    }
    signal.throwIfAborted();
    if (this.#current) return this.#current;
    throw new Fault('unsent', `it is not connected${this.#trouble ? ` (${this.#trouble})` : ''}`);
  }

  /** Closes all connections and makes no other. Resolves when nothing is left. */
  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all([...this.#open].map((connection) => connection.close()));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const sinceMs = performance.now();
      try {
        const why = await this.#serve();
        if (!signal.aborted) this.#failed(why);
      } catch (error) {
        if (!signal.aborted) this.#failed(faultOf(error).message);
      }
      this.#first.resolve();
      if (performance.now() - sinceMs > this.#settings.reconnectMaxMs) this.#pauses.reset();
      await sleep(this.#pauses.next(), undefined, { signal }).catch(() => {});
    }
    this.#first.resolve();
  }

  /** One connection from its beginning to its end. Returns why it ended. */
  async #serve(): Promise<string> {
    const { signal } = this.#abort;
    const { connect, listed } = this.#settings;
    const connection = await connect(signal);
    this.#open.add(connection);
    void connection.closed.then(() => this.#open.delete(connection));
    try {
      signal.throwIfAborted();
      this.#isStale = false;
      connection.onListChanged(() => void this.#refresh(connection));
      await listed(await connection.tools(signal));
      this.#current = connection;
      connection.onLost(() => this.#drop(connection));
      this.#next.resolve(connection);
      this.#first.resolve();
      this.#recovered();
      if (this.#isStale) void this.#refresh(connection);
      return await connection.lost;
    } finally {
      connection.retire();
    }
  }

  #drop(connection: Connection): void {
    if (this.#current !== connection) return;
    this.#current = undefined;
    this.#next = deferred();
  }

  /** Reads the list again, once for any number of changes meanwhile. */
  async #refresh(connection: Connection): Promise<void> {
    this.#isStale = true;
    if (this.#isRefreshing || this.#current !== connection) return;
    const { signal } = this.#abort;
    this.#isRefreshing = true;
    try {
      while (this.#isStale && this.#current === connection) {
        this.#isStale = false;
        await this.#settings.listed(await connection.tools(signal));
        await sleep(refreshPauseMs, undefined, { signal });
      }
    } catch (error) {
      const { kind, message } = faultOf(error);
      if (kind !== 'failed') connection.lose(message);
      if (!signal.aborted) this.#log('debug', message, 'the list of tools cannot be read again');
    } finally {
      this.#isRefreshing = false;
    }
  }

  #failed(why: string): void {
    const shown = this.#settings.secrets.hide(why);
    // Once for each kind of trouble: a server may be away for days.
    if (shown !== this.#trouble) this.#log('warn', shown, 'the MCP server cannot be used; it is tried again');
    this.#trouble = shown;
  }

  #recovered(): void {
    this.#trouble = undefined;
    this.#settings.logger.info({}, 'the MCP server is connected');
  }

  #log(level: 'debug' | 'warn', why: string, message: string): void {
    this.#settings.logger[level]({ why: this.#settings.secrets.hide(why) }, message);
  }
}
