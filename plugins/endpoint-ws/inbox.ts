import type { ServerFrame } from '#kernel';
import { WaggleError } from '#kernel';
import { hullOf, type Notification, NotificationLog, overlapOf, type SeqRange } from './notification-log.js';

/** Bounds of what is kept for users who are away. */
export interface InboxLimits {
  readonly maxNotifications: number;
  readonly limitChars: number;
  readonly keepMs: number;
  readonly maxUsers: number;
  readonly totalLimitChars: number;
}

/** The next frames behind a number, and the number that they reach. */
export interface Portion {
  readonly frames: readonly string[];
  readonly seq: number;
}

const portionChars = 32 * 1024;
const topicLimitChars = 128;
/** With more of them, the oldest become one. */
const maxMissing = 100;

/**
 * The notifications of all users, numbered in one sequence. It begins with the time in microseconds: the numbers of a server
 * that was restarted go on behind those that its clients have.
 */
export class Inbox {
  readonly #config: { readonly inbox: InboxLimits };
  readonly #firstSeq: number;
  #seq: number;
  readonly #everyone: NotificationLog;
  /** The one that was written last is last. */
  readonly #users = new Map<string, NotificationLog>();
  #chars = 0;
  /** Of users that were forgotten altogether. */
  #forgotten: SeqRange | undefined;
  /** Numbers that did not come from another node, oldest first. */
  readonly #missing: SeqRange[] = [];

  /** `firstSeq`: the number behind which it begins. */
  constructor(config: { readonly inbox: InboxLimits }, firstSeq = Date.now() * 1000) {
    this.#config = config;
    this.#firstSeq = firstSeq;
    this.#seq = firstSeq;
    this.#everyone = new NotificationLog(config);
  }

  /** The newest number. */
  get seq(): number {
    return this.#seq;
  }

  /** @throws INVALID_REQUEST, TOO_LARGE, for what could not be kept */
  check(topic: string, data: unknown): void {
    this.#encode(this.#seq, topic, data);
  }

  /** Declares numbers lost, for all users. */
  lose(from: number, to: number): void {
    this.#seq = to;
    this.#missing.push({ from, to });
    if (this.#missing.length > maxMissing)
      this.#missing.splice(0, 2, hullOf(this.#missing.slice(0, 2)) as SeqRange);
  }

  /** Keeps a notification for a user, or for all. @throws INVALID_REQUEST, TOO_LARGE */
  keep(userId: string | undefined, topic: string, data: unknown, seq = this.#seq + 1): Notification {
    const notification = { seq, json: this.#encode(seq, topic, data), atMs: performance.now() };
    this.#seq = seq;
    const log = userId === undefined ? this.#everyone : this.#logOf(userId);
    this.#change(log, () => log.add(notification));
    this.#makeRoom(log);
    return notification;
  }

  /** The next notifications of a user after a number, in order, with a gap in the place of those that are lost. */
  after(userId: string, after: number): Portion {
    const mine = this.#users.get(userId);
    for (const log of [mine, this.#everyone]) if (log) this.#expire(log);
    const unknown = [this.#beforeStart(after), mine ? undefined : this.#forgotten, ...this.#missing];
    const frames: string[] = [];
    let seq = after;
    let chars = 0;
    const gapBefore = (next: number) => {
      const [from, to] = [seq + 1, next - 1];
      const known = [mine, this.#everyone].map((log) => log?.lostWithin(from, to));
      const gap = hullOf([...known, ...unknown.map((range) => overlapOf(range, from, to))]);
      if (gap) frames.push(JSON.stringify({ type: 'inbox_gap', ...gap } satisfies ServerFrame));
    };
    for (const notification of merged(mine?.kept ?? [], this.#everyone.kept)) {
      if (notification.seq <= after) continue;
      gapBefore(notification.seq);
      frames.push(notification.json);
      ({ seq } = notification);
      chars += notification.json.length;
      if (chars >= portionChars) return { frames, seq };
    }
    gapBefore(this.#seq + 1);
    return { frames, seq: this.#seq };
  }

  /** Drops what was kept long enough. */
  expire(): void {
    for (const log of [this.#everyone, ...this.#users.values()]) this.#expire(log);
  }

  #expire(log: NotificationLog): void {
    if (log.kept.length > 0) this.#change(log, () => log.expire(performance.now()));
  }

  #change(log: NotificationLog, change: () => void): void {
    this.#chars -= log.chars;
    change();
    this.#chars += log.chars;
  }

  #encode(seq: number, topic: string, data: unknown = null): string {
    const { limitChars } = this.#config.inbox;
    const isTopic = typeof topic === 'string' && topic !== '' && topic.length <= topicLimitChars;
    if (!isTopic)
      throw new WaggleError('INVALID_REQUEST', {
        issues: [`topic: expected 1 to ${topicLimitChars} characters`],
      });
    let json: string;
    try {
      // Functions and symbols have no JSON.
      const isJson = JSON.stringify(data) !== undefined;
      json = JSON.stringify({ type: 'notification', seq, topic, data: isJson ? data : null });
    } catch (cause) {
      throw new WaggleError('INVALID_REQUEST', { issues: ['data: expected JSON'] }, { cause });
    }
    if (json.length <= limitChars) return json;
    const key = '"inbox.limitChars" of endpoint-ws';
    throw new WaggleError('TOO_LARGE', { limitBytes: limitChars, unit: 'characters', key });
  }

  #logOf(userId: string): NotificationLog {
    const log = this.#users.get(userId) ?? new NotificationLog(this.#config, this.#forgotten);
    this.#users.delete(userId);
    this.#users.set(userId, log);
    return log;
  }

  /** Drops what those have who were not written to for the longest time. */
  #makeRoom(written: NotificationLog): void {
    const { maxUsers, totalLimitChars } = this.#config.inbox;
    for (const [userId, log] of this.#users) {
      if (this.#users.size <= maxUsers && this.#chars <= totalLimitChars) return;
      if (log === written) continue;
      this.#change(log, () => log.clear());
      if (this.#users.size <= maxUsers) continue;
      this.#users.delete(userId);
      this.#forgotten = hullOf([this.#forgotten, log.lostWithin(0, this.#seq)]);
    }
  }

  /** To a client of an earlier server: what came until this one has started is not known here. */
  #beforeStart(after: number): SeqRange | undefined {
    return after > 0 && after < this.#firstSeq ? { from: after + 1, to: this.#firstSeq } : undefined;
  }
}

/** By number. */
function* merged(some: readonly Notification[], others: readonly Notification[]): Iterable<Notification> {
  let at = 0;
  for (const each of some) {
    while (at < others.length && (others[at] as Notification).seq < each.seq)
      yield others[at++] as Notification;
    yield each;
  }
  while (at < others.length) yield others[at++] as Notification;
}
