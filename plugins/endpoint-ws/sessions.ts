import {
  type Clients,
  type Cluster,
  closeCode,
  type EndpointDocs,
  type Reply,
  type Socket,
  type TaskDefinition,
  type Transport,
  WaggleError,
  type WebSocketEndpoint,
} from '#kernel';
import { Idleness, mayActFor } from '#sdk';
import { announcementOf } from './announcement.js';
import { ClientClaims } from './client-claims.js';
import { clientParams, clientQuery, docsOf, ownTypes } from './docs.js';
import { FirstFrames } from './first-frames.js';
import { Inbox } from './inbox.js';
import { Session, type SessionHost } from './session.js';
import { SharedAnnouncements } from './shared-announcements.js';
import { SharedNotifications } from './shared-notifications.js';
import { Takeovers } from './takeovers.js';
import { UserSessions } from './user-sessions.js';

export type SessionSettings = Omit<
  SessionHost,
  'onClosed' | 'onDelivered' | 'subscribe' | 'inbox' | 'reached'
> & {
  readonly transport: Pick<Transport, 'publish'>;
  /** Present where other nodes have connections, too. */
  readonly cluster?: Cluster | undefined;
};

/** The channel of what is sent to all. */
const everyone = 'everyone';

/** All connections by user. Each client of a user has one: the newest, over all nodes. */
export class Sessions implements WebSocketEndpoint, Clients {
  readonly path = '/ws/{client_id}';
  readonly protocol = 'waggle.v1';
  readonly #host: SessionHost;
  readonly #transport: Pick<Transport, 'publish'>;
  readonly #users = new UserSessions();
  readonly #open = new Set<Session>();
  readonly #takeovers: Takeovers;
  readonly #claims: ClientClaims | undefined;
  readonly #announcements: SharedAnnouncements | undefined;
  readonly #notifications: SharedNotifications | undefined;
  /** Sessions that were taken over and will be closed soon, by user and client. */
  readonly #leaving = new Map<string, { readonly session: Session; readonly timer: NodeJS.Timeout }>();
  readonly #firstFrames = new FirstFrames();
  /** Whether anything was sent to all: until then connections are not subscribed, which would take memory. */
  #hasBroadcast = false;
  #drainEndsAt: number | undefined;
  readonly #idleness = new Idleness(this.#open);

  constructor({ transport, cluster, ...settings }: SessionSettings) {
    const { logger, streams } = settings;
    const inbox = new Inbox(settings.config, cluster?.reached);
    this.#takeovers = new Takeovers(logger);
    if (cluster) {
      this.#claims = new ClientClaims(cluster, (session) => this.#lost(session));
      const deliver = (userId: string | undefined, json: string) => this.#deliver(userId, json);
      this.#notifications = new SharedNotifications(cluster, inbox, deliver, logger);
      const runningOf = (userId: string) => this.#runningOf(userId);
      // A reply that cannot be read from here is better not heard of.
      if (streams.sharedStats) this.#announcements = new SharedAnnouncements(cluster, this.#users, runningOf);
    }
    const notifications = this.#notifications;
    this.#transport = transport;
    this.#host = {
      ...settings,
      inbox,
      reached: notifications && ((seq) => notifications.reached(seq)),
      subscribe: (session, isOn) => this.#subscribe(session, isOn),
      onClosed: (session) => this.#closed(session),
      onDelivered: () => this.#idleness.changed(),
    };
  }

  get docs(): EndpointDocs {
    return docsOf(this.#host.tasks);
  }

  /** Called for each registered task. @throws when its name is a built-in frame type */
  added({ name, message }: TaskDefinition): void {
    if (message && ownTypes.has(name)) throw new Error(`"${name}" is one of the server's own frame types`);
  }

  removed(): void {}

  get count(): number {
    return this.#open.size;
  }

  online(userId: string): boolean {
    return this.#users.has(userId);
  }

  send(userId: string, topic: string, data?: unknown): number | Promise<number> {
    // Without one it would be kept for all.
    if (typeof userId !== 'string' || userId === '')
      throw new WaggleError('INVALID_REQUEST', { issues: ['userId: expected a user'] });
    return this.#notify(userId, topic, data);
  }

  broadcast(topic: string, data?: unknown): number | Promise<number> {
    return this.#notify(undefined, topic, data);
  }

  #notify(userId: string | undefined, topic: string, data: unknown): number | Promise<number> {
    if (this.#notifications) return this.#notifications.send(userId, topic, data);
    const { seq, json } = this.#host.inbox.keep(userId, topic, data);
    this.#deliver(userId, json);
    return seq;
  }

  /** Sends a notification to the connections of a user on this node, or to all of them. */
  #deliver(userId: string | undefined, json: string): void {
    if (userId === undefined) {
      this.#deliverToAll(json);
      return;
    }
    let next: Session | undefined;
    for (let session = this.#users.newest(userId); session; session = next) {
      // It may be closed for reading too slowly.
      next = session.older;
      session.notify(json);
    }
  }

  #deliverToAll(json: string): void {
    const { publish } = this.#transport;
    if (!publish) {
      for (const session of this.#open) session.notify(json);
      return;
    }
    if (!this.#hasBroadcast) {
      this.#hasBroadcast = true;
      for (const session of this.#open) if (session.isUpToDate) this.#subscribe(session, true);
    }
    publish.call(this.#transport, everyone, json);
  }

  /** Tells the other connections of its user of a reply that has begun on this node. */
  async began(streamId: string, userId: string): Promise<void> {
    // Mostly the only one, which has asked for it.
    const others: Session[] = [];
    for (let session = this.#users.newest(userId); session; session = session.older)
      if (!session.reads(streamId)) others.push(session);
    if (others.length === 0 && !this.#announcements) return;
    const reply = await this.#host.streams.find(streamId);
    const announcement = reply && announcementOf(reply);
    if (!announcement) return;
    for (const session of others) session.announce(announcement);
    this.#announcements?.begun(userId, announcement);
  }

  /** Drops notifications that were kept long enough. */
  expire(): void {
    this.#host.inbox.expire();
  }

  /** @throws INVALID_REQUEST */
  accept({
    params,
    query,
  }: {
    readonly params: Readonly<Record<string, string>>;
    readonly query: URLSearchParams;
  }): void {
    if (!clientParams.safeParse(params).success)
      throw new WaggleError('INVALID_REQUEST', {
        issues: ['client_id: expected 1 to 128 characters of A-Z a-z 0-9 . _ ~ -'],
      });
    const named = query.get('user_id');
    if (named !== null && !clientQuery.safeParse({ user_id: named }).success)
      throw new WaggleError('INVALID_REQUEST', { issues: ['user_id: expected 1 to 128 characters'] });
  }

  open(socket: Socket): Session {
    const { principal } = socket;
    const clientId = socket.params.client_id as string;
    const named = socket.query?.get('user_id') ?? undefined;
    const userId = named ?? principal?.id ?? clientId;
    const session = new Session(socket, userId, this.#host);
    if (!mayActFor(principal, userId)) {
      session.close(closeCode.forbidden, 'the credentials are those of another user');
      return session;
    }
    const older = this.#users.find(userId, clientId);
    if (older) this.#replace(older);
    const isFirst = !this.#users.has(userId);
    this.#users.add(session);
    this.#open.add(session);
    this.#firstFrames.await(session);
    if (isFirst) this.#host.bus.emit('client:online', { userId });
    if (this.#drainEndsAt !== undefined) this.#announceDrain(session, this.#drainEndsAt);
    // A user that is its only client knows of its replies.
    if (principal || named !== undefined) this.#announceRunning(session);
    // Behind the take-over on this node, which needs no other one.
    this.#claims?.take(keyOf(session), session);
    return session;
  }

  #announceRunning(session: Session): void {
    for (const reply of this.#runningOf(session.userId)) {
      const announcement = announcementOf(reply);
      if (announcement) session.announce(announcement);
    }
    this.#announcements?.opened(session);
  }

  /** Replies of a user on this node whose other connections may resume them. */
  #runningOf(userId: string): readonly Reply[] {
    const running = this.#host.streams.runningOf?.(userId) ?? [];
    return running.filter(({ progress }) => progress && progress.phase !== 'waiting');
  }

  #subscribe({ socket }: Session, isOn: boolean): void {
    if (!this.#hasBroadcast) return;
    if (isOn) socket.subscribe?.(everyone);
    else socket.unsubscribe?.(everyone);
  }

  #closed(session: Session): void {
    const { userId } = session;
    if (!this.#open.delete(session)) return;
    this.#claims?.release(session);
    this.#users.delete(session);
    if (this.#open.size === 0) this.#firstFrames.stop();
    if (this.#leaving.get(keyOf(session))?.session === session) this.#stopLeaving(keyOf(session));
    this.#idleness.changed();
    if (!this.#users.has(userId)) this.#host.bus.emit('client:offline', { userId });
  }

  /** Resolves when all replies are delivered, or soon after the deadline. */
  async drain(deadline: AbortSignal, timeoutMs: number): Promise<void> {
    this.#drainEndsAt = performance.now() + timeoutMs;
    for (const session of this.#open) this.#announceDrain(session, this.#drainEndsAt);
    await this.#idleness.wait(deadline);
  }

  /** Ends what is under way with other nodes. */
  stop(): void {
    this.#announcements?.stop();
    this.#notifications?.stop();
  }

  /** A newer connection of the client has its claim. One on this node has closed the session already, or will. */
  #lost(session: Session): void {
    if (this.#users.find(session.userId, session.clientId) === session) this.#replace(session);
  }

  /** Closes the older connection of a client, after a delay when takeovers repeat. */
  #replace(session: Session): void {
    const key = keyOf(session);
    const leave = (each: Session) => each.close(closeCode.takenOver, 'taken over by a newer connection');
    const before = this.#leaving.get(key);
    this.#stopLeaving(key);
    if (before) leave(before.session);
    const delayMs = this.#takeovers.next(key, session.clientId, performance.now());
    // It may be leaving already, for a connection on another node.
    if (before?.session === session) return;
    if (delayMs === 0) leave(session);
    else {
      const timer = setTimeout(() => {
        this.#leaving.delete(key);
        leave(session);
      }, delayMs);
      this.#leaving.set(key, { session, timer });
    }
  }

  #stopLeaving(key: string): void {
    clearTimeout(this.#leaving.get(key)?.timer);
    this.#leaving.delete(key);
  }

  #announceDrain(session: Session, endsAt: number): void {
    session.announceDrain(Math.max(0, Math.round(endsAt - performance.now())));
  }
}

/** Clients choose their ids: that of another user may be the same. */
function keyOf({ userId, clientId }: Session): string {
  return JSON.stringify([userId, clientId]);
}
