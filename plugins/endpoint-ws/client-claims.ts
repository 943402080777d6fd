import type { Cluster, Undo } from '#kernel';
import type { Session } from './session.js';

/** The clients of this node, each of which has one connection over all nodes. */
export class ClientClaims {
  readonly #cluster: Pick<Cluster, 'claim'>;
  readonly #onLost: (session: Session) => void;
  readonly #undos = new Map<Session, Undo>();

  /** `onLost`: the client has a newer connection, on this node or on another one. */
  constructor(cluster: Pick<Cluster, 'claim'>, onLost: (session: Session) => void) {
    this.#cluster = cluster;
    this.#onLost = onLost;
  }

  /** `key` names the client among all users'. */
  take(key: string, session: Session): void {
    this.#undos.set(
      session,
      this.#cluster.claim(key, () => this.#onLost(session)),
    );
  }

  release(session: Session): void {
    void this.#undos.get(session)?.();
    this.#undos.delete(session);
  }
}
