import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CancelReason,
  type CancelReceipt,
  type ClientAnswer,
  type Cluster,
  type Logger,
  type Undo,
  WaggleError,
} from '#kernel';
import { settleWithin } from '#sdk';
import { LogWaker, type ReplyLog } from '#sdk/streams';
import type { Keys } from './keys.js';
import type { NodeCalls } from './node-calls.js';
import { isAfter, type RemoteHost, RemoteReply } from './remote-reply.js';
import type { Entry, EntryId, ReplyMeta, ReplyTable } from './reply-table.js';
import { unseal } from './sealed-id.js';
import type { Beat, Interest } from './serving.js';
import { beatTopic, interestTopic, pushTopic } from './serving.js';

/** Bounds of what is read from other nodes. */
export interface RemoteTimes {
  /** How long the owner of a reply may take to say how far it is, before what the engine has is given. */
  readonly joinMs: number;
  /** Interval in which owners are told who reads along, and tell how far they are. */
  readonly beatMs: number;
  /** How long a copy without readers is kept up to date. */
  readonly idleMs: number;
  /** How long the engine may take to have what the owner has told of. */
  readonly catchUpMs: number;
  /** How long another node may take for what it is asked to do. */
  readonly callMs: number;
}

export const remoteTimes: RemoteTimes = {
  joinMs: 250,
  beatMs: 1000,
  idleMs: 10_000,
  catchUpMs: 2000,
  callMs: 15_000,
};

/** After so many beats an owner knows that nothing of it is read here any more. */
const emptyBeats = 5;
const firstRetryMs = 10;
const longestRetryMs = 250;

/** The replies of other nodes that are read on this one. */
export class RemoteReplies implements RemoteHost {
  /** Missing entries that had to be read from the engine. */
  gaps = 0;
  readonly #table: ReplyTable;
  readonly #keys: Keys;
  readonly #cluster: Cluster;
  readonly #calls: NodeCalls;
  readonly #logger: Logger;
  readonly #times: RemoteTimes;
  readonly #waker: LogWaker;
  /** All that somebody holds, by stream. */
  readonly #known = new Map<string, WeakRef<RemoteReply>>();
  readonly #dropped = new FinalizationRegistry<string>((streamId) => {
    if (!this.#known.get(streamId)?.deref()) this.#known.delete(streamId);
  });
  /** Those that are kept up to date, by hash. */
  readonly #joined = new Map<string, RemoteReply>();
  readonly #opening = new Map<string, Promise<RemoteReply | undefined>>();
  readonly #repairing = new Map<string, Promise<void>>();
  /** Beats in which a node is still told that nothing is read here. */
  readonly #owners = new Map<string, number>();
  readonly #undos: readonly Undo[];
  readonly #closing = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    table: ReplyTable,
    keys: Keys,
    cluster: Cluster,
    calls: NodeCalls,
    logger: Logger,
    times: RemoteTimes,
  ) {
    this.#table = table;
    this.#keys = keys;
    this.#cluster = cluster;
    this.#calls = calls;
    this.#logger = logger;
    this.#times = times;
    this.#waker = new LogWaker(logger);
    setMaxListeners(0, this.#closing.signal); // each reply that is read again is one
    this.#undos = [
      cluster.on(pushTopic, (body) => this.#onPush(body as [string, EntryId, Entry?])),
      cluster.on(beatTopic, (body, from) => this.#onBeat(body as Beat, from)),
    ];
  }

  /** The number of readers here. */
  get readers(): number {
    let sum = 0;
    for (const reply of this.#joined.values()) sum += reply.readers;
    return sum;
  }

  /** The reply with this id, as far as it goes now; undefined where no log is left. @throws ENGINE_UNAVAILABLE */
  find(streamId: string): Promise<RemoteReply | undefined> {
    const opening = this.#opening.get(streamId) ?? this.#open(streamId);
    this.#opening.set(streamId, opening);
    const done = () => {
      if (this.#opening.get(streamId) === opening) this.#opening.delete(streamId);
    };
    opening.then(done, done);
    return opening;
  }

  async #open(streamId: string): Promise<RemoteReply | undefined> {
    const keys = this.#keys.ofStream(streamId);
    if (!keys) return undefined;
    const known = this.#known.get(streamId)?.deref();
    if (known && !known.ended && this.#joined.has(keys.hash)) {
      known.usedAtMs = performance.now();
      return known;
    }
    const meta = await this.#table.read(keys);
    if (!meta) return undefined;
    if (known?.ended) return known;
    const { sealedRequestId: sealed } = meta;
    const requestId = sealed === undefined ? undefined : unseal(sealed, streamId);
    const reply = known ?? new RemoteReply(streamId, keys, { ...meta, requestId }, this);
    if (!known) {
      this.#known.set(streamId, new WeakRef(reply));
      this.#dropped.register(reply, streamId);
    }
    reply.usedAtMs = performance.now();
    return (await this.#join(reply, meta)) ? reply : undefined;
  }

  /** Brings a copy up to date, and keeps it so; false where there is nothing to read. */
  async #join(reply: RemoteReply, { nodeId, hasEnded }: ReplyMeta): Promise<boolean> {
    if (hasEnded) {
      await this.#read(reply);
      return reply.ended;
    }
    reply.nodeId = nodeId;
    this.#joined.set(reply.hash, reply);
    this.#timer ??= setInterval(() => this.#beat(), this.#times.beatMs);
    const last = await this.#askOwner(reply);
    if (last) {
      if (isAfter(last, reply.wanted)) reply.wanted = last;
      await settleWithin(this.#repair(reply), this.#times.catchUpMs);
    } else {
      await this.#read(reply);
      void this.#repair(reply);
    }
    return reply.at !== undefined;
  }

  /** How far the owner is; undefined where it does not answer, or does not know the reply. */
  async #askOwner({ nodeId, hash, readers }: RemoteReply): Promise<EntryId | undefined> {
    try {
      const last = await this.#calls.call(nodeId, 'join', [hash, readers], this.#times.joinMs);
      return (last as EntryId | null) ?? undefined;
    } catch (error) {
      if (WaggleError.is(error, 'ENGINE_UNAVAILABLE')) return undefined;
      throw error;
    }
  }

  /** Reads what the engine has. */
  async #read(reply: RemoteReply): Promise<void> {
    for (;;) {
      const page = await this.#table.page(reply.keys, reply.at);
      const from = reply.at;
      for (const { id, entry } of page) reply.inOrder(id, entry);
      reply.takeEarly();
      if (from && isAfter(reply.at, from)) this.gaps++;
      // Also where what follows is missing.
      if (page.length === 0 || reply.ended || reply.at === from) break;
      if (from && reply.at && reply.at.epoch > from.epoch) void this.#reopen(reply);
    }
    this.#dropEnded(reply);
  }

  /** Reads from the engine until all that is known to exist is here. */
  #repair(reply: RemoteReply): Promise<void> {
    const running = this.#repairing.get(reply.hash);
    if (running) return running;
    const repairing = this.#readUntilCaughtUp(reply)
      .catch((err: unknown) => {
        this.#logger.error({ err, reply: reply.hash.slice(0, 6) }, 'the copy of a log is broken');
        reply.lose(new WaggleError('INTERNAL', {}));
      })
      .finally(() => {
        this.#repairing.delete(reply.hash);
        this.#dropEnded(reply);
      });
    this.#repairing.set(reply.hash, repairing);
    return repairing;
  }

  async #readUntilCaughtUp(reply: RemoteReply): Promise<void> {
    const { signal } = this.#closing;
    for (let waitMs = firstRetryMs; !signal.aborted; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      try {
        await this.#read(reply);
      } catch (error) {
        // It comes back, and so do the messages that say how far the owner is.
        if (!WaggleError.is(error, 'ENGINE_UNAVAILABLE')) throw error;
      }
      if (reply.isCaughtUp || this.#joined.get(reply.hash) !== reply) return;
      await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Messages of a node may be missing; of any node where none is named. */
  missed(nodeId?: string): void {
    for (const reply of this.#joined.values())
      if (nodeId === undefined || reply.nodeId === nodeId) void this.#repair(reply);
    if (this.#joined.size > 0) this.#beat();
  }

  /** A node is gone: its replies go on in another epoch, or end in one. */
  gone(nodeId: string): void {
    for (const reply of this.#joined.values()) {
      if (reply.nodeId !== nodeId) continue;
      this.#isLost(reply);
      void this.#repair(reply);
    }
    this.#owners.delete(nodeId);
  }

  #isLost(reply: RemoteReply): void {
    const next = { epoch: (reply.at?.epoch ?? 0) + 1, seq: 0 };
    if (isAfter(next, reply.wanted)) reply.wanted = next;
  }

  stale(log: ReplyLog): void {
    this.#waker.stale(log);
  }

  readersChanged(reply: RemoteReply, count: number): void {
    if (reply.ended) return;
    if (this.#joined.get(reply.hash) === reply)
      void this.#cluster.send(reply.nodeId, interestTopic, { [reply.hash]: count } satisfies Interest);
    // Somebody has held it, and reads it again.
    else if (count > 0 && !this.#closing.signal.aborted)
      void this.find(reply.streamId).catch((err: unknown) =>
        this.#logger.warn({ err }, 'a reply of another server cannot be read now'),
      );
  }

  async cancel(reply: RemoteReply, reason: CancelReason): Promise<CancelReceipt | undefined> {
    if (reply.ended) return undefined;
    void this.#table.cancelled(reply.keys).catch(() => {}); // only for the case that its owner is lost
    const args = [reply.hash, reason];
    const receipt = (await this.#calls.call(reply.nodeId, 'cancel', args, this.#times.callMs)) as
      | CancelReceipt
      | undefined;
    return receipt ?? undefined;
  }

  async answer(reply: RemoteReply, callId: string, answer: ClientAnswer): Promise<void> {
    if (reply.ended) throw new WaggleError('TOOL_CALL_UNKNOWN', { id: callId.slice(0, 128) });
    await this.#calls.call(reply.nodeId, 'answer', [reply.hash, callId, answer], this.#times.callMs);
  }

  close(): void {
    this.#closing.abort();
    clearInterval(this.#timer);
    for (const undo of this.#undos) void undo();
    this.#joined.clear();
  }

  #onPush([hash, id, entry]: [string, EntryId, Entry?]): void {
    const reply = this.#joined.get(hash);
    if (!reply || reply.ended) return;
    try {
      if (entry ? reply.pushed(id, entry) : !isAfter(id, reply.at)) {
        this.#dropEnded(reply);
        return;
      }
      if (isAfter(id, reply.wanted)) reply.wanted = id;
    } catch (err) {
      this.#logger.error({ err, reply: hash.slice(0, 6) }, 'the copy of a log is broken');
      reply.lose(new WaggleError('INTERNAL', {}));
      return;
    }
    void this.#repair(reply);
  }

  #onBeat(beat: Beat, from: string): void {
    for (const [hash, last] of Object.entries(beat)) {
      const reply = this.#joined.get(hash);
      if (!reply || reply.nodeId !== from) continue;
      if (last) {
        if (isAfter(last, reply.wanted)) reply.wanted = last;
        if (!reply.isCaughtUp) void this.#repair(reply);
      } else void this.#reopen(reply);
    }
  }

  /** Its owner does not know it: it has ended and is forgotten there, or another node has it. */
  async #reopen(reply: RemoteReply): Promise<void> {
    try {
      const meta = await this.#table.read(reply.keys);
      if (meta && !meta.hasEnded) {
        if (meta.nodeId === reply.nodeId) return;
        reply.nodeId = meta.nodeId;
        this.#beat();
        return;
      }
      await this.#read(reply);
      if (!reply.ended && this.#joined.get(reply.hash) === reply) {
        this.#joined.delete(reply.hash);
        reply.lose(new WaggleError('STREAM_GONE', { streamId: reply.streamId }));
      }
    } catch (err) {
      this.#logger.debug({ err }, 'a reply of another server cannot be read now');
    }
  }

  #dropEnded(reply: RemoteReply): void {
    if (reply.ended && this.#joined.get(reply.hash) === reply) this.#joined.delete(reply.hash);
  }

  /** Tells each owner what is read here: all of it, so that no message that is lost leaves anything behind. */
  #beat(): void {
    const now = performance.now();
    const read = new Map<string, Record<string, number>>();
    for (const [hash, reply] of this.#joined) {
      if (reply.readers === 0 && now - reply.usedAtMs > this.#times.idleMs) {
        this.#joined.delete(hash);
        continue;
      }
      const of = read.get(reply.nodeId) ?? {};
      of[hash] = reply.readers;
      read.set(reply.nodeId, of);
      this.#owners.set(reply.nodeId, emptyBeats);
    }
    for (const [nodeId, left] of this.#owners) {
      const all: Interest = read.get(nodeId) ?? {};
      void this.#cluster.send(nodeId, interestTopic, { ...all, '': 1 });
      if (!read.has(nodeId)) {
        if (left <= 1) this.#owners.delete(nodeId);
        else this.#owners.set(nodeId, left - 1);
      }
    }
    if (this.#owners.size > 0 || this.#joined.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
