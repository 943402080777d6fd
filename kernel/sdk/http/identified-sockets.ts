import type { Principal } from '../../contracts/access.js';
import type { Undo } from '../../contracts/effect.js';
import { every } from '../../every.js';
import type { SocketAccess } from './socket-access.js';
import { Tally } from './tally.js';

const sweepMs = 1000;

/** The WebSockets of known users. One timer looks at the ends of their credentials. */
export class IdentifiedSockets {
  readonly #sockets = new Set<SocketAccess>();
  readonly #byUser = new Tally();
  readonly #failed: (error: unknown) => void;
  #stopSweep: Undo | undefined;

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  add(socket: SocketAccess, { id }: Principal): void {
    this.#sockets.add(socket);
    this.#byUser.add(id);
    this.#stopSweep ??= every(sweepMs, () => this.#sweep(), this.#failed);
  }

  remove(socket: SocketAccess): void {
    if (this.#sockets.delete(socket) && socket.principal) this.#byUser.remove(socket.principal.id);
    if (this.#sockets.size > 0) return;
    void this.#stopSweep?.();
    this.#stopSweep = undefined;
  }

  /** The number of WebSockets of a user. */
  countOf(userId: string): number {
    return this.#byUser.of(userId);
  }

  /** Closes those whose credentials no longer hold. */
  revoke(isRevoked: (principal: Principal) => boolean): void {
    for (const socket of [...this.#sockets])
      if (socket.principal && isRevoked(socket.principal)) socket.end('the credentials were revoked');
  }

  #sweep(): void {
    const now = Date.now();
    for (const socket of [...this.#sockets]) socket.check(now);
  }
}
