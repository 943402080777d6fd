import type { Server, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server';
import { WaggleError } from '#kernel';

/** When a client may try again that has found no room. */
const retryAfterMs = 10_000;

/** Bounds of sessions. */
export interface SessionLimits {
  readonly maxSessions: number;
  readonly maxSessionsPerUser: number;
  readonly sessionIdleMs: number;
}

/** One client of the older era, between its first request and its last. */
export class Session {
  readonly userId: string | undefined;
  readonly server: Server;
  readonly transport: WebStandardStreamableHTTPServerTransport;
  #busy = 0;
  #idleSinceMs = performance.now();

  constructor(
    userId: string | undefined,
    server: Server,
    transport: WebStandardStreamableHTTPServerTransport,
  ) {
    this.userId = userId;
    this.server = server;
    this.transport = transport;
  }

  /** Since when it has had no request and no open stream; undefined while it has one. */
  get idleSinceMs(): number | undefined {
    return this.#busy > 0 ? undefined : this.#idleSinceMs;
  }

  /** Counts a request until its response has ended. */
  async use(work: () => Promise<void>): Promise<void> {
    this.#busy++;
    try {
      await work();
    } finally {
      this.#busy--;
      this.#idleSinceMs = performance.now();
    }
  }

  /** Ends its streams, and cancels the work of its requests. */
  async close(): Promise<void> {
    await this.transport.close();
    await this.server.close();
  }
}

/** The sessions, bounded in number and in time. */
export class Sessions {
  readonly #limits: SessionLimits;
  readonly #sessions = new Map<string, Session>();

  constructor(limits: SessionLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#sessions.size;
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#sessions.values();
  }

  /** A session of this user. One of another user is like one that never was. */
  find(id: string, userId: string | undefined): Session | undefined {
    const session = this.#sessions.get(id);
    return session?.userId === userId ? session : undefined;
  }

  /** Makes room for a session of a user. @throws QUEUE_FULL when all sessions are in use */
  makeRoom(userId: string | undefined): void {
    const { maxSessions, maxSessionsPerUser } = this.#limits;
    const own = [...this.#sessions].filter(([, session]) => session.userId === userId);
    if (userId !== undefined && own.length >= maxSessionsPerUser) this.#endOldest(own, maxSessionsPerUser);
    if (this.#sessions.size >= maxSessions) this.#endOldest([...this.#sessions], maxSessions);
  }

  add(id: string, session: Session): void {
    this.#sessions.set(id, session);
  }

  end(id: string): void {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    void session?.close();
  }

  /** Ends sessions that have been idle for too long. */
  endIdle(nowMs = performance.now()): void {
    for (const [id, { idleSinceMs }] of this.#sessions)
      if (idleSinceMs !== undefined && nowMs - idleSinceMs >= this.#limits.sessionIdleMs) this.end(id);
  }

  async close(): Promise<void> {
    const all = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all(all.map((session) => session.close()));
  }

  #endOldest(sessions: readonly (readonly [string, Session])[], limit: number): void {
    const idle = sessions.flatMap(([id, { idleSinceMs }]) =>
      idleSinceMs === undefined ? [] : [{ id, idleSinceMs }],
    );
    const [oldest] = idle.sort((a, b) => a.idleSinceMs - b.idleSinceMs);
    if (!oldest) throw new WaggleError('QUEUE_FULL', { limit, what: 'MCP sessions in use', retryAfterMs });
    this.end(oldest.id);
  }
}
