import type { Cluster, Reply } from '#kernel';
import { type Announcement, announcementOf } from './announcement.js';
import type { Session } from './session.js';
import type { UserSessions } from './user-sessions.js';

/** A reply that has begun, to all nodes: `Told` for all connections of the user. */
const begunTopic = 'clients:begun';
/** Users and connections that want to know of running replies, to one node or to all: `Question[]`. */
const askTopic = 'clients:ask';
/** One running reply, to the node that has asked: `Told`. */
const runningTopic = 'clients:running';
/** The sender could not send something: the others had better ask it. */
const missedTopic = 'clients:missed';

/** `null` for all connections of the user. */
type Question = readonly [userId: string, connection: string | null];
type Told = readonly [userId: string, connection: string | null, announcement: Announcement];

/** Users in one message, so that none keeps a node busy for long. */
const usersPerMessage = 500;
/** The time until what was missed is made up for: an outage is many reasons at once. */
const repairMs = 500;
/** The latest replies of which a connection was told are not told again. */
const maxTold = 32;

/** Tells connections of replies that run on other nodes, and other nodes of those that run here. */
export class SharedAnnouncements {
  readonly #cluster: Cluster;
  readonly #users: UserSessions;
  readonly #runningOf: (userId: string) => readonly Reply[];
  /** Streams, by the connections that were told of them. */
  readonly #told = new WeakMap<Session, string[]>();
  /** Connections that have opened in this turn of the event loop. */
  #asking: Question[] = [];
  /** Nodes of which messages are missing. */
  readonly #missed = new Set<string | undefined>();
  /** Whether something could not be sent. */
  #hasFailed = false;
  #repair: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** `runningOf`: the replies of a user on this node that have begun. */
  constructor(cluster: Cluster, users: UserSessions, runningOf: (userId: string) => readonly Reply[]) {
    this.#cluster = cluster;
    this.#users = users;
    this.#runningOf = runningOf;
    cluster.on(begunTopic, (body) => this.#tell(body as Told));
    cluster.on(runningTopic, (body) => this.#tell(body as Told));
    cluster.on(askTopic, (body, from) => this.#answer(body as readonly Question[], from));
    cluster.on(missedTopic, (_, from) => this.#repairLater(from));
    cluster.watch({ gap: (nodeId) => this.#repairLater(nodeId) });
  }

  /** A reply has begun here. */
  begun(userId: string, announcement: Announcement): void {
    void this.#send(undefined, begunTopic, [userId, null, announcement] satisfies Told);
  }

  /** A connection has opened here, whose user may have replies elsewhere. */
  opened({ userId, socket }: Session): void {
    if (this.#asking.push([userId, socket.id]) > 1) return;
    setImmediate(() => {
      const questions = this.#asking;
      this.#asking = [];
      if (!this.#isStopped) this.#ask(questions, undefined);
    });
  }

  /** Ends what is under way. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#repair);
  }

  #ask(questions: readonly Question[], nodeId: string | undefined): void {
    for (let at = 0; at < questions.length; at += usersPerMessage) {
      const part = questions.slice(at, at + usersPerMessage);
      void this.#send(nodeId, askTopic, part);
    }
  }

  /** Sends to one node, or to all. A failure is made up for later: no node notices that a message is missing. */
  async #send(nodeId: string | undefined, topic: string, body: unknown): Promise<void> {
    const cluster = this.#cluster;
    const isTaken = nodeId === undefined ? cluster.broadcast(topic, body) : cluster.send(nodeId, topic, body);
    if ((await isTaken) || cluster.alive().length === 1) return;
    this.#hasFailed = true;
    this.#repairLater(undefined);
  }

  #answer(questions: readonly Question[], from: string): void {
    for (const [userId, connection] of questions)
      for (const reply of this.#runningOf(userId)) {
        const announcement = announcementOf(reply);
        if (!announcement) continue;
        void this.#send(from, runningTopic, [userId, connection, announcement] satisfies Told);
      }
  }

  #tell([userId, connection, announcement]: Told): void {
    const { streamId } = announcement.frame;
    let next: Session | undefined;
    for (let session = this.#users.newest(userId); session; session = next) {
      // It may be closed for reading too slowly.
      next = session.older;
      if (connection !== null && session.socket.id !== connection) continue;
      const told = this.#told.get(session) ?? [];
      if (told.includes(streamId)) continue;
      this.#told.set(session, told);
      if (told.push(streamId) > maxTold) told.shift();
      session.announce(announcement);
    }
  }

  #repairLater(nodeId: string | undefined): void {
    if (nodeId === this.#cluster.nodeId || this.#isStopped) return;
    this.#missed.add(nodeId);
    this.#repair ??= setTimeout(() => {
      this.#repair = undefined;
      const missed = [...this.#missed];
      const hasFailed = this.#hasFailed;
      this.#missed.clear();
      this.#hasFailed = false;
      if (hasFailed) void this.#send(undefined, missedTopic, null);
      const questions = [...this.#users.ids()].map((userId): Question => [userId, null]);
      for (const node of missed.includes(undefined) ? [undefined] : missed) this.#ask(questions, node);
    }, repairMs);
  }
}
