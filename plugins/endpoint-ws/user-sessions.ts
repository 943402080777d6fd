import type { Session } from './session.js';

/** The open sessions by user, the newest of each first. Chained, because most users have one. */
export class UserSessions {
  readonly #newest = new Map<string, Session>();

  has(userId: string): boolean {
    return this.#newest.has(userId);
  }

  /** Users that have a session. */
  ids(): Iterable<string> {
    return this.#newest.keys();
  }

  /** The others of its user follow as `older`. */
  newest(userId: string): Session | undefined {
    return this.#newest.get(userId);
  }

  /** The newest one under a client id. */
  find(userId: string, clientId: string): Session | undefined {
    let session = this.newest(userId);
    while (session && session.clientId !== clientId) session = session.older;
    return session;
  }

  add(session: Session): void {
    session.older = this.#newest.get(session.userId);
    this.#newest.set(session.userId, session);
  }

  delete(session: Session): void {
    const { userId, older } = session;
    const newest = this.#newest.get(userId);
    if (newest !== session) {
      let newer = newest;
      while (newer && newer.older !== session) newer = newer.older;
      if (newer) newer.older = older;
    } else if (older) this.#newest.set(userId, older);
    else this.#newest.delete(userId);
    session.older = undefined;
  }
}
