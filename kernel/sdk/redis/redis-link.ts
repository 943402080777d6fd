import { setTimeout as sleep } from 'node:timers/promises';
import { WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { RedisConfig } from './config.js';
import { RedisConnection, type RedisTimes } from './redis-connection.js';
import { engineError, redisFault, unavailable } from './redis-errors.js';
import type { RedisScript } from './redis-script.js';
import { parseRedisUrl } from './redis-url.js';

/** Bounds of a link. */
export interface LinkTimes extends RedisTimes {
  /** The longest wait between two attempts to connect. */
  readonly backOffMs: number;
  /** How long the first connection is tried for. */
  readonly firstMs: number;
}

/** Bounds that notice a silent server within 4 s, and one that is back within 3 s. */
export const linkTimes: LinkTimes = {
  connectMs: 2000,
  pingMs: 900,
  silentPings: 3,
  backOffMs: 500,
  firstMs: 5000,
};

/** The owner of a link. */
export interface LinkOptions {
  readonly config: RedisConfig;
  /** For the list of clients on the server, and the log. */
  readonly name: string;
  readonly logger: Logger;
  readonly times?: LinkTimes;
  /** The first commands of each connection, before any other one. A throw of ENGINE_UNUSABLE ends a start. */
  readonly prepare?: (connection: RedisConnection) => Promise<void>;
  /** A connection is ready; `isFirst` for the one of the start. */
  onUp?(isFirst: boolean): void;
  onDown?(): void;
}

const shortestBackOffMs = 25;
/** Commands on their way at once, below the limit of a connection: urgent ones and PING have the rest. */
const maxUnderWay = 9000;

/**
 * A connection to Redis that is replaced whenever it is lost or silent. Nothing waits for a connection: without one, commands
 * fail at once with ENGINE_UNAVAILABLE, and so do those that were under way when it was lost, which may have been run.
 */
export class RedisLink {
  readonly #options: LinkOptions;
  readonly #times: LinkTimes;
  readonly #engine: string;
  readonly #closing = new AbortController();
  readonly #commands: Record<string, number> = {};
  #connection: RedisConnection | undefined;
  #lastWhy = 'no connection was made yet';
  #downSince: number | undefined = performance.now();
  #rttMs: number | undefined;
  #underWay = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#times = options.times ?? linkTimes;
    this.#engine = parseRedisUrl(options.config.url)?.name ?? 'Redis';
  }

  get isUp(): boolean {
    return this.#connection !== undefined;
  }

  /** How long there has been no connection; 0 while there is one. */
  get awayMs(): number {
    return this.#downSince === undefined ? 0 : performance.now() - this.#downSince;
  }

  get rttMs(): number | undefined {
    return this.#connection?.rttMs ?? this.#rttMs;
  }

  /** Commands sent since the start, by name; those of another library are not counted. */
  get commands(): Readonly<Record<string, number>> {
    return { ...this.#commands };
  }

  /** Connects; later losses are its own business. @throws ENGINE_UNUSABLE when that cannot be done, or takes too long */
  async start(): Promise<void> {
    const endMs = performance.now() + this.#times.firstMs;
    for (let failures = 0; ; failures++)
      try {
        const connection = await this.#open();
        this.#running = this.#keep(connection);
        return;
      } catch (error) {
        if (this.#closing.signal.aborted) throw error;
        if (WaggleError.is(error, 'ENGINE_UNUSABLE')) throw error;
        const fault = redisFault(error);
        if (!fault || fault.isLasting || performance.now() > endMs) {
          const why = fault?.why ?? `it answers in a way that is not understood: ${(error as Error).message}`;
          throw new WaggleError('ENGINE_UNUSABLE', { engine: this.#engine, why }, { cause: error });
        }
        await this.#wait(failures);
      }
  }

  /** Runs one command. @throws ENGINE_UNAVAILABLE; an error as Redis says it where the command was a mistake */
  send(...args: readonly (string | Buffer)[]): Promise<unknown> {
    return this.use((connection) => {
      this.#count(String(args[0]));
      return connection.send(args);
    });
  }

  /** As `send`, for the few commands that must not wait until others leave room. */
  urgent(...args: readonly string[]): Promise<unknown> {
    return this.use((connection) => {
      this.#count(String(args[0]));
      return connection.send(args);
    }, true);
  }

  /** Runs a script. @throws ENGINE_UNAVAILABLE */
  run(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return this.use((connection) => {
      this.#count('evalsha');
      return connection.run(script, keys, args);
    });
  }

  /** Throws the connection away, and makes a new one. */
  replace(why: string): void {
    this.#connection?.close(new Error(why));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#connection?.close();
    await this.#running;
  }

  /** Runs commands of another library on the connection of the moment. @throws ENGINE_UNAVAILABLE */
  async use<T>(use: (connection: RedisConnection) => Promise<T>, isUrgent = false): Promise<T> {
    const connection = this.#connection;
    if (!connection) throw unavailable(this.#lastWhy);
    if (this.#underWay >= maxUnderWay && !isUrgent) throw unavailable('too much waits for it');
    this.#underWay++;
    try {
      return await use(connection);
    } catch (error) {
      // A fail-over behind the address, for example: the next connection leads to the right server.
      if (redisFault(error)?.isOfConnection) connection.close(error as Error);
      throw engineError(error);
    } finally {
      this.#underWay--;
    }
  }

  async #keep(first: RedisConnection): Promise<void> {
    const { onUp, onDown, logger, name } = this.#options;
    const { signal } = this.#closing;
    for (let connection: RedisConnection | undefined = first; connection; ) {
      this.#connection = connection;
      this.#downSince = undefined;
      onUp?.(connection === first);
      const reason = await connection.ended;
      this.#rttMs = connection.rttMs;
      this.#connection = undefined;
      this.#downSince = connection.heardAtMs;
      this.#lastWhy = redisFault(reason)?.why ?? 'the connection is lost';
      if (signal.aborted) return;
      onDown?.();
      logger.warn({ engine: this.#engine, link: name, why: this.#lastWhy }, 'the engine is away');
      connection = await this.#openAgain();
      if (connection && !signal.aborted)
        logger.info(
          { engine: this.#engine, link: name, awayMs: Math.round(this.awayMs) },
          'the engine is back',
        );
    }
  }

  async #openAgain(): Promise<RedisConnection | undefined> {
    const { logger, name } = this.#options;
    const said = new Set([this.#lastWhy]);
    for (let failures = 0; ; failures++) {
      await this.#wait(failures);
      if (this.#closing.signal.aborted) return undefined;
      try {
        return await this.#open();
      } catch (error) {
        if (this.#closing.signal.aborted) return undefined;
        const { why } = WaggleError.is(error, 'ENGINE_UNUSABLE')
          ? error.details
          : (redisFault(error) ?? { why: (error as Error).message });
        this.#lastWhy =
          redisFault(error)?.why ?? 'it cannot be used as it is now; the log of the server says why';
        if (!said.has(why))
          logger.warn({ engine: this.#engine, link: name, why }, 'the engine cannot be used');
        said.add(why);
      }
    }
  }

  async #open(): Promise<RedisConnection> {
    const { config, name, prepare } = this.#options;
    const { signal } = this.#closing;
    const connection = await RedisConnection.open(config, { name, times: this.#times, signal, prepare });
    if (!signal.aborted) return connection;
    connection.close();
    throw unavailable('this server is stopping');
  }

  /** Full jitter: many servers come back to Redis at different times. */
  async #wait(failures: number): Promise<void> {
    const { backOffMs } = this.#times;
    const ms = shortestBackOffMs + Math.random() * Math.min(backOffMs, 50 * 2 ** Math.min(failures, 10));
    await sleep(Math.min(ms, backOffMs), undefined, { signal: this.#closing.signal }).catch(() => {});
  }

  #count(command: string): void {
    const kind = command.toLowerCase();
    this.#commands[kind] = (this.#commands[kind] ?? 0) + 1;
  }
}
