import { Connection, type ConnectionOwner } from './connection.js';
import type { SocketCall } from './socket-call.js';

const idleLimit = 256;
const idleTimeoutMs = 60_000;
const sweepMs = 5000;

interface Idle {
  readonly connection: Connection;
  /** When it is closed, by `performance.now()`. */
  readonly untilMs: number;
}

/** Connections over plain HTTP. Idle ones are kept for the next call, within limits. */
export class ConnectionPool implements ConnectionOwner {
  readonly #connectTimeoutMs: number;
  readonly #open = new Set<Connection>();
  /** The last one is taken first. */
  #idle: Idle[] = [];
  #sweep: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(connectTimeoutMs: number) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** Sends a call over an idle connection to the host of `url`, or over a new one. */
  send(url: URL, call: SocketCall): void {
    (this.#take(url.host) ?? this.#connect(url)).send(call);
  }

  /** Closes every connection. Later calls get new ones, which are not kept. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#sweep);
    for (const connection of this.#open) connection.destroy();
  }

  onIdle(connection: Connection, idleMs = idleTimeoutMs): void {
    if (this.#isClosed || this.#idle.length >= idleLimit) return void connection.destroy();
    this.#idle.push({ connection, untilMs: performance.now() + Math.min(idleMs, idleTimeoutMs) });
    this.#sweep ??= setTimeout(() => this.#closeIdle(), sweepMs).unref();
  }

  onClosed(connection: Connection): void {
    this.#open.delete(connection);
    const at = this.#idle.findIndex((each) => each.connection === connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  resend(call: SocketCall, { url }: Connection): void {
    this.#connect(url).send(call);
  }

  #connect(url: URL): Connection {
    const connection = new Connection(url, this.#connectTimeoutMs, this);
    this.#open.add(connection);
    return connection;
  }

  #take(host: string): Connection | undefined {
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const { connection, untilMs } = this.#idle[at] as Idle;
      if (connection.host !== host) continue;
      this.#idle.splice(at, 1);
      if (connection.isOpen && untilMs > performance.now()) return connection;
      connection.destroy();
    }
    return undefined;
  }

  #closeIdle(): void {
    const now = performance.now();
    const over = this.#idle.filter(({ untilMs }) => untilMs <= now);
    this.#idle = this.#idle.filter(({ untilMs }) => untilMs > now);
    for (const { connection } of over) connection.destroy();
    this.#sweep = this.#idle.length > 0 ? setTimeout(() => this.#closeIdle(), sweepMs).unref() : undefined;
  }
}
