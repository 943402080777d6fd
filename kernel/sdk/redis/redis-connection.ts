import { readFile } from 'node:fs/promises';
import { messageOf, WaggleError } from '../../errors.js';
import { credentialsOf, type RedisConfig } from './config.js';
import { loadRedis, type RedisClient } from './library.js';
import type { RedisScript } from './redis-script.js';
import { parseRedisUrl, type RedisAddress } from './redis-url.js';

/** Bounds of a connection. */
export interface RedisTimes {
  /** Time to connect, TLS and the first commands included. */
  readonly connectMs: number;
  /** Interval of PING. */
  readonly pingMs: number;
  /** Intervals without any reply until the connection is given up. */
  readonly silentPings: number;
}

/** The beginning of a connection. */
export interface OpenOptions {
  readonly name: string;
  readonly times: RedisTimes;
  readonly signal: AbortSignal;
  /** The first commands, before any other one. */
  readonly prepare?: ((connection: RedisConnection) => Promise<void>) | undefined;
}

/** Commands that may wait for a reply, of one connection; one more is refused. */
const maxPending = 10_000;

/**
 * One connection to Redis, from its beginning to its end; it never connects again. The client library neither notices a server
 * that falls silent nor bounds the handshake, so this does.
 */
export class RedisConnection {
  /** Resolves with the reason when the connection has ended. */
  readonly ended: Promise<Error>;
  /** The time of the latest round trip. */
  rttMs: number | undefined;
  /** For a library that brings its own commands. It must neither close it nor connect it again. */
  readonly client: RedisClient;
  #end: (reason: Error) => void = () => {};
  /** Why it has ended. */
  #reason: Error | undefined;
  #heardAtMs = performance.now();
  #silent = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(client: RedisClient) {
    this.client = client;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    // `terminated` comes first and has the cause; the library throws an error that has no listener.
    for (const event of ['terminated', 'error', 'end'])
      client.on(event, (cause?: Error) => this.#onEnd(cause ?? new Error('Socket closed unexpectedly')));
    // What is given up while it connects would otherwise stay: `destroy` does not know that socket yet.
    client.on('connect', () => {
      if (this.#reason) client.destroy();
    });
  }

  /** Connects and runs `prepare`, within a bound. `name` is for the list of clients on the server. */
  static async open(
    config: RedisConfig,
    { name, times, signal, prepare }: OpenOptions,
  ): Promise<RedisConnection> {
    const { connectMs, pingMs, silentPings } = times;
    const [{ createClient }, options] = await Promise.all([
      loadRedis(),
      clientOptions(config, name, connectMs),
    ]);
    signal.throwIfAborted();
    const connection = new RedisConnection(createClient(options));
    const timer = setTimeout(() => connection.close(new Error('Connection timeout')), connectMs);
    const stop = () => connection.close();
    signal.addEventListener('abort', stop);
    try {
      const ready = connection.client.connect().then(() => prepare?.(connection));
      // The end may come first, and then the other one is of no interest.
      ready.catch(() => {});
      await Promise.race([ready, connection.ended.then((reason) => Promise.reject(reason))]);
    } catch (error) {
      // Commands under way fail for reasons of the library; the reason of the end says more.
      const shown = withoutSecrets(connection.#reason ?? error, config);
      connection.close(shown);
      throw shown;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
    connection.#watch(pingMs, silentPings);
    return connection;
  }

  /** The time of the last sign of life. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** Sends one command; rejects with what Redis or the library says. Commands of one turn of the event loop share a write. */
  async send(args: readonly (string | Buffer)[]): Promise<unknown> {
    const reply = await this.client.sendCommand(args);
    this.#heardAtMs = performance.now();
    return reply;
  }

  run(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return script.run((command) => this.send(command), keys, args);
  }

  async subscribe(
    channels: readonly string[],
    listener: (message: string, channel: string) => void,
  ): Promise<void> {
    await this.client.subscribe(channels, (message, channel) => {
      this.#heardAtMs = performance.now();
      listener(message, channel);
    });
  }

  /** Ends it at once; commands under way are rejected. */
  close(reason: Error = new Error('The client is closed')): void {
    this.#onEnd(reason);
  }

  #onEnd(reason: Error): void {
    if (this.#reason) return;
    this.#reason = reason;
    clearInterval(this.#timer);
    this.#end(reason);
    this.client.destroy();
  }

  /** Intervals are counted, not measured: after a stall of this process the replies that have come are read before the next one. */
  #watch(pingMs: number, silentPings: number): void {
    let isWaiting = false;
    let lastMs = performance.now();
    this.#timer = setInterval(() => {
      this.#silent = this.#heardAtMs > lastMs ? 0 : this.#silent + 1;
      const nowMs = performance.now();
      lastMs = nowMs;
      if (this.#silent >= silentPings) {
        this.close(new Error('Connection timeout'));
        return;
      }
      if (isWaiting) return;
      isWaiting = true;
      this.send(['PING'])
        .then(() => {
          this.rttMs = performance.now() - nowMs;
        })
        .catch(() => {}) // lost, or too much is on its way: silence is what counts
        .finally(() => {
          isWaiting = false;
        });
    }, pingMs);
  }
}

/** Options for a client of `@redis/client` that neither connects again nor keeps commands for later. @throws ENGINE_UNUSABLE */
export async function clientOptions(config: RedisConfig, name: string, connectMs: number): Promise<object> {
  const address = parseRedisUrl(config.url) as RedisAddress;
  const { path, host, port, isSecure, database } = address;
  const { username, password } = credentialsOf(config, address);
  const tls = isSecure ? { tls: true, ...(await tlsOptions(config.tls, address.name)) } : {};
  return {
    name,
    database,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    socket: {
      ...(path === undefined ? { host, port } : { path }),
      ...tls,
      connectTimeout: connectMs,
      reconnectStrategy: false,
    },
    disableOfflineQueue: true,
    commandsQueueMaxLength: maxPending,
    // The default makes a timer for each command, and forgets it once the command is written.
    commandOptions: { timeout: 0 },
    disableClientInfo: true,
    maintNotifications: 'disabled',
  };
}

/** Read at each connect, so that a renewed certificate is used. */
async function tlsOptions(
  { caFile, certFile, keyFile, serverName }: RedisConfig['tls'],
  engine: string,
): Promise<object> {
  const read = async (file: string | undefined) => {
    try {
      return file === undefined ? undefined : await readFile(file);
    } catch (cause) {
      const why = `the file "${file}" of its "tls" cannot be read (${(cause as NodeJS.ErrnoException).code})`;
      throw new WaggleError('ENGINE_UNUSABLE', { engine, why }, { cause });
    }
  };
  const [ca, cert, key] = await Promise.all([read(caFile), read(certFile), read(keyFile)]);
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(serverName !== undefined && { servername: serverName }),
  };
}

/** An old server repeats the command with the password that it does not know. */
function withoutSecrets(error: unknown, config: RedisConfig): Error {
  const { password } = credentialsOf(config, parseRedisUrl(config.url));
  if (!(error instanceof Error)) return new Error(messageOf(error));
  if (password === undefined || !error.message.includes(password)) return error;
  return new Error(error.message.replaceAll(password, '…'));
}
