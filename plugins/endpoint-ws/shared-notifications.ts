import type { Cluster, Logger, ServerFrame } from '#kernel';
import type { Inbox } from './inbox.js';

const topic = 'clients:notification';

type Body = readonly [userId: string | null, topic: string, data: unknown];

/** How long a node may be behind another one, before a number is taken for one of other data. */
const behindMs = 10_000;

/** Delivers what the inbox has kept, to a user or to all of this node. */
export type Deliver = (userId: string | undefined, json: string) => void;

/** Notifications of all nodes in one order, so that a number means the same on each. Every node keeps all of them. */
export class SharedNotifications {
  readonly #cluster: Cluster;
  readonly #inbox: Inbox;
  readonly #deliver: Deliver;
  readonly #logger: Logger;
  /** Called at each change. */
  readonly #waiting = new Set<() => void>();
  #isStopped = false;

  constructor(cluster: Cluster, inbox: Inbox, deliver: Deliver, logger: Logger) {
    this.#cluster = cluster;
    this.#inbox = inbox;
    this.#deliver = deliver;
    this.#logger = logger;
    cluster.follow(topic, {
      message: (seq, body) => this.#keep(seq, body as Body),
      missing: (from, to) => this.#lose(from, to),
    });
  }

  /** To a user, or to all. @throws INVALID_REQUEST, TOO_LARGE, ENGINE_UNAVAILABLE */
  send(userId: string | undefined, about: string, data: unknown): Promise<number> {
    this.#inbox.check(about, data);
    const sent = this.#cluster.sequence(topic, [userId ?? null, about, data] satisfies Body);
    // Many senders do not care for the number.
    sent.catch((error) => this.#logger.warn({ err: error, topic: about }, 'a notification may not be sent'));
    return sent;
  }

  /** Resolves when the inbox has reached a number that a client has had from another node, or is not going to. */
  async reached(seq: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => end(), behindMs);
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const look = () => {
        if (this.#inbox.seq >= seq || this.#isStopped) end();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Ends what is under way. */
  stop(): void {
    this.#isStopped = true;
    this.#changed();
  }

  #keep(seq: number, [userId, about, data]: Body): void {
    const user = userId ?? undefined;
    try {
      this.#deliver(user, this.#inbox.keep(user, about, data, seq).json);
    } catch (error) {
      // Another node has larger inboxes.
      this.#logger.warn({ err: error, topic: about }, 'a notification of another server is lost');
      this.#lose(seq, seq);
    }
    this.#changed();
  }

  #lose(from: number, to: number): void {
    this.#inbox.lose(from, to);
    this.#deliver(undefined, JSON.stringify({ type: 'inbox_gap', from, to } satisfies ServerFrame));
    this.#changed();
  }

  #changed(): void {
    for (const look of this.#waiting) look();
  }
}
