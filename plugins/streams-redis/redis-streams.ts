import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Chat,
  type ChatStreams,
  type Cluster,
  type EventBus,
  type Limits,
  type Logger,
  type Principal,
  type Reply,
  type SharedStreamStats,
  type StartCommand,
  type StreamStats,
  type TaskEngine,
  toClientError,
  type Undo,
  WaggleError,
} from '#kernel';
import { mayActFor, type RequestKey, randomId } from '#sdk';
import { hashOf, type RedisLink } from '#sdk/redis';
import {
  type Asked,
  KeyedStarts,
  keyOf,
  type LocalReply,
  LocalStreams,
  type ReplyNames,
  type ReplyWatcher,
} from '#sdk/streams';
import type { Config } from './config.js';
import { Flusher } from './flusher.js';
import { Keys, type ReplyKeys } from './keys.js';
import { NodeCalls } from './node-calls.js';
import { RemoteReplies, type RemoteTimes, remoteTimes } from './remote-replies.js';
import { RemoteReply } from './remote-reply.js';
import { type Entry, type EntryId, type ReplyRecord, ReplyTable, type RequestClaim } from './reply-table.js';
import { ReplyWriter, type WriterHost } from './reply-writer.js';
import { seal, unseal } from './sealed-id.js';
import { pushTopic, Serving } from './serving.js';
import { SharedTurns } from './shared-turns.js';
import type { Turn } from './turn.js';

/** Services that replies on several nodes are made of. */
export interface RedisStreamsServices {
  readonly chat: Chat;
  readonly tasks: TaskEngine;
  readonly cluster: Cluster;
  readonly link: Pick<RedisLink, 'send' | 'run' | 'isUp' | 'awayMs' | 'commands'>;
  readonly bus: EventBus;
  readonly logger: Logger;
  readonly limits?: Limits | undefined;
}

/** A larger request is not stored, so that a reply which has said nothing is lost with its server. */
const commandLimitChars = 256 * 1024;
/** An entry that is longer is read from the engine and not sent. */
const pushLimitChars = 128 * 1024;
const restoreMs = 250;
/** How long owners may take to write again what the engine has lost. */
const restoredMs = 2000;
/** How often, and how long, a request waits until the reply that has failed for it is known to have. */
const maxFreeings = 50;
const freeingMs = 20;
const closeMs = 2000;
const retryAfterMs = 1000;

/** A request as it is kept until its first content, in case that another node has to run it again. */
interface Kept {
  readonly command: StartCommand;
  readonly names: ReplyNames;
}

type Begun = Omit<ReplyRecord, 'userId' | 'conversationId'> & { readonly epoch: number };

/** Runs replies in this process, and keeps their logs where every node can read them. */
export class RedisStreams implements ChatStreams, ReplyWatcher, WriterHost {
  readonly table: ReplyTable;
  readonly logger: Logger;
  /** Replies of lost nodes, by what has become of them. */
  readonly #takenOver = { rerun: 0, lost: 0, fenced: 0 };
  readonly #local: LocalStreams;
  readonly #keys: Keys;
  readonly #cluster: Cluster;
  readonly #link: RedisStreamsServices['link'];
  readonly #calls: NodeCalls;
  readonly #serving: Serving;
  readonly #remote: RemoteReplies;
  readonly #flusher: Flusher;
  readonly #turns: SharedTurns;
  /** Of all replies that run here or are kept here, by hash. */
  readonly #writers = new Map<string, ReplyWriter>();
  readonly #behind = new Set<ReplyWriter>();
  /** Replies whose first command is sent already, by stream, until they are started. */
  readonly #begun = new Map<string, Begun>();
  readonly #starts = new KeyedStarts<Reply>();
  readonly #undo: Undo;
  #restoring: NodeJS.Timeout | undefined;
  #isClosing = false;
  #dataSet: string | undefined;
  #comparedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    { chat, tasks, cluster, link, bus, logger, limits }: RedisStreamsServices,
    config: Config,
    times: RemoteTimes = remoteTimes,
  ) {
    this.logger = logger;
    this.#cluster = cluster;
    this.#link = link;
    this.#keys = new Keys(config.prefix);
    const { replyTimeoutMs, cancelTimeoutMs, keepMs } = config;
    // A reply may wait as long as it may run.
    const ttlMs = 2 * replyTimeoutMs + cancelTimeoutMs + keepMs;
    this.table = new ReplyTable(link, this.#keys, cluster.nodeId, { ttlMs, keepMs });
    this.#local = new LocalStreams(chat, tasks, config, bus, logger, limits, this);
    this.#flusher = new Flusher(config);
    this.#turns = new SharedTurns({ cluster, link, keys: this.#keys, logger, config, ttlMs });
    this.#serving = new Serving(cluster, this.#writers);
    this.#calls = new NodeCalls(cluster, this.#serving.methods);
    this.#remote = new RemoteReplies(this.table, this.#keys, cluster, this.#calls, logger, times);
    this.#undo = cluster.watch({
      gone: (nodeId) => this.#onGone(nodeId),
      gap: (nodeId) => this.#remote.missed(nodeId),
      lapsed: () => void this.compare(),
      emptied: () => void this.compare(),
    });
  }

  get task() {
    return this.#local.task;
  }

  get stats(): StreamStats {
    return this.#local.stats;
  }

  get engineCommands(): Readonly<Record<string, number>> {
    return this.#link.commands;
  }

  get sharedStats(): SharedStreamStats {
    let unflushedChars = 0;
    for (const writer of this.#writers.values()) unflushedChars += writer.unflushedChars;
    const { readers: remoteReaders, gaps } = this.#remote;
    return { remoteReaders, unflushedChars, gaps, takenOver: { ...this.#takenOver } };
  }

  /** @throws RATE_LIMITED, QUEUE_FULL, BUSY, SHUTTING_DOWN, IDEMPOTENCY_MISMATCH, ENGINE_UNAVAILABLE */
  async start(command: StartCommand): Promise<Reply> {
    const key = keyOf(command);
    return this.#starts.run(
      key,
      () => this.#local.known(key),
      () => this.#start(command, key),
    );
  }

  async #start(command: StartCommand, key: RequestKey | undefined): Promise<Reply> {
    const streamId = this.#keys.newStreamId(command.userId);
    const names = { streamId, conversationId: command.conversationId ?? randomId() };
    if (key) return this.#startOnce(command, names, key);
    // A reply that nobody else could see is none.
    if (!this.#link.isUp) await this.table.read(this.#keysOf(streamId));
    return this.#local.start(command, names);
  }

  async #startOnce(
    command: StartCommand,
    names: ReplyNames,
    { id, fingerprint }: RequestKey,
  ): Promise<Reply> {
    const { streamId, conversationId } = names;
    const keys = this.#keysOf(streamId);
    const keyHash = hashOf(id);
    const sealedId = seal(command.requestId as string, streamId);
    const claim = { keyHash, value: `${keys.hash} ${seal(streamId, id)} ${fingerprint}`, sealedId };
    const record = { keys, userId: command.userId, conversationId, claim };
    for (let attempt = 0; ; attempt++) {
      const known = await this.table.begin(record, textOf(command, names));
      if (known === undefined) break;
      const [, sealed = '', other] = known.split(' ');
      if (other !== fingerprint) throw new WaggleError('IDEMPOTENCY_MISMATCH', {});
      const streamId = unseal(sealed, id);
      const reply = (await this.#local.find(streamId)) ?? (await this.#remote.find(streamId));
      // It may have failed or been forgotten just now, and its node has not freed the request yet.
      const isOver = !reply || (reply instanceof RemoteReply && !reply.isAnswered);
      if (reply && (!isOver || attempt === maxFreeings)) return reply;
      if (attempt === maxFreeings) throw new WaggleError('BUSY', { limit: 1, what: 'requests with this id' });
      await sleep(freeingMs);
    }
    this.#begun.set(streamId, { keys, claim, epoch: 1 });
    try {
      return await this.#local.start(command, names);
    } catch (error) {
      await this.table.forget(record).catch(() => {}); // it expires
      throw error;
    } finally {
      this.#begun.delete(streamId);
    }
  }

  async find(streamId: string, principal?: Principal): Promise<Reply | undefined> {
    const endMs = performance.now() + restoredMs;
    for (;;) {
      const reply = (await this.#local.find(streamId)) ?? (await this.#remote.find(streamId));
      if (reply) return mayActFor(principal, reply.userId) ? reply : undefined;
      // Where the engine has lost it, its owner writes it again.
      if (this.#isClosing || performance.now() > endMs || !(await this.#hasLostData())) return undefined;
      await sleep(freeingMs);
    }
  }

  list(): readonly Reply[] {
    return this.#local.list();
  }

  runningOf(userId: string): readonly Reply[] {
    return this.#local.runningOf(userId);
  }

  /** Refuses new replies, lets running and waiting ones end until the deadline, then cancels the rest. */
  drain(deadline: AbortSignal): Promise<void> {
    return this.#local.drain(deadline);
  }

  /** Ends everything. Logs stay where others can read them. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const cancelling = this.#local.close();
    await cancelling;
    const written = [...this.#writers.values()].map((writer) => writer.sync(closeMs));
    const failed = (await Promise.allSettled(written)).filter(({ status }) => status === 'rejected');
    if (failed.length > 0)
      this.logger.warn(
        { replies: failed.length },
        'the ends of some replies cannot be read on other servers',
      );
    for (const writer of this.#writers.values()) writer.close();
    this.#writers.clear();
    clearInterval(this.#restoring);
    this.#flusher.close();
    await this.#turns.close(closeMs);
    this.#remote.close();
    this.#serving.close();
    this.#calls.close();
    void this.#undo();
  }

  entering({ command, conversation = '', streamId }: Asked): Turn | Promise<Turn> {
    // Its id is known to nobody yet.
    const isNew = command.conversationId === undefined;
    return isNew ? this.#turns.begin(conversation, streamId) : this.#turns.enter(conversation, streamId);
  }

  accepted(reply: LocalReply): void {
    const { streamId, userId, conversationId } = reply;
    const begun = this.#begun.get(streamId);
    const { epoch = 1, keys = this.#keysOf(streamId), claim } = begun ?? {};
    const record = { keys, userId, conversationId, claim };
    const writer = new ReplyWriter(reply, record, epoch, this);
    this.#writers.set(keys.hash, writer);
    writer.begin(
      begun ? Promise.resolve() : this.table.begin(record, textOf(reply.command as StartCommand, reply)),
    );
  }

  async releasing(reply: LocalReply): Promise<void> {
    await this.#writerOf(reply)?.release();
  }

  ended(reply: LocalReply, isAnswered: boolean): void {
    this.#writerOf(reply)?.ended(isAnswered);
  }

  forgotten(reply: LocalReply): void {
    const writer = this.#writerOf(reply);
    if (!writer || this.#isClosing) return;
    this.#writers.delete(writer.hash);
    this.#behind.delete(writer);
    writer.close();
    this.table.forget(writer.record).catch(() => {}); // it expires
  }

  grew(writer: ReplyWriter): void {
    this.#flusher.grew(writer);
  }

  push(nodeId: string, hash: string, id: EntryId, entry: Entry): void {
    const isLong = entry[2].some((run) => typeof run[1] === 'string' && run[1].length > pushLimitChars);
    try {
      void this.#cluster.send(nodeId, pushTopic, isLong ? [hash, id] : [hash, id, entry]);
    } catch (error) {
      if (!WaggleError.is(error, 'TOO_LARGE')) throw error;
      void this.#cluster.send(nodeId, pushTopic, [hash, id]);
    }
  }

  behind(writer: ReplyWriter): void {
    this.#behind.add(writer);
    this.#restoring ??= setInterval(() => this.restore(), restoreMs);
  }

  fenced(writer: ReplyWriter, error: WaggleError<'SERVER_LOST'>): void {
    this.#takenOver.fenced++;
    this.#writers.delete(writer.hash);
    this.#behind.delete(writer);
    this.logger.warn({ reply: writer.hash.slice(0, 6) }, 'another server has taken a reply over');
    writer.reply.fail(error);
    this.#local.drop(writer.reply);
  }

  /** Writes again what the engine has not. */
  restore(): void {
    if (!this.#link.isUp) return;
    const behind = [...this.#behind];
    this.#behind.clear();
    for (const writer of behind) writer.restore();
    if (this.#behind.size > 0) return;
    clearInterval(this.#restoring);
    this.#restoring = undefined;
  }

  /** Compares all replies with the engine, which was away or may have other data. */
  async compare(): Promise<void> {
    // At the start there is nothing yet that could be lost.
    if (this.#dataSet !== undefined) this.#comparedAtMs = performance.now();
    await this.#readDataSet().catch(() => {}); // as below
    await Promise.all(
      [...this.#writers.values()].map(async (writer) => {
        try {
          const { nodeId, last } = await this.table.owner(writer.record.keys);
          writer.compare(nodeId, last, this.#cluster.nodeId);
        } catch {
          // The engine is away again; its return leads here.
        }
      }),
    );
    this.restore();
    this.#turns.restore();
    this.#remote.missed();
  }

  /** Whether the engine has lost data of late, or may have. */
  async #hasLostData(): Promise<boolean> {
    if (await this.#readDataSet()) void this.compare();
    return performance.now() - this.#comparedAtMs < restoredMs;
  }

  /** Whether the data are other ones than before. */
  async #readDataSet(): Promise<boolean> {
    const known = this.#dataSet;
    this.#dataSet = await this.table.dataSet();
    return known !== undefined && known !== this.#dataSet;
  }

  #writerOf(reply: LocalReply): ReplyWriter | undefined {
    const writer = this.#writers.get(hashOf(reply.streamId));
    // Another run may have the same id.
    return writer?.reply === reply ? writer : undefined;
  }

  #keysOf(streamId: string): ReplyKeys {
    const keys = this.#keys.ofStream(streamId);
    if (!keys) throw new Error('an id that is not of this plugin');
    return keys;
  }

  /** Takes over what a node has left behind. Rejects where that has to be tried again. */
  async #onGone(nodeId: string): Promise<void> {
    this.#serving.gone(nodeId);
    this.#calls.gone(nodeId);
    this.#remote.gone(nodeId);
    if (this.#isClosing) return;
    const error = new WaggleError('SERVER_LOST', { retryAfterMs });
    const { code, message, details } = error;
    const runs = [
      ['e', code, details],
      ['f', { type: 'error', code, message, streamId: 0, retryAfterMs }],
    ] as const;
    for (const keys of await this.table.ownedBy(nodeId)) {
      const taken = await this.table.takeOver(keys, nodeId, runs as never);
      if (!taken) continue;
      if (taken.command === undefined) this.#takenOver.lost++;
      else await this.#runAgain(keys, taken.epoch, taken.command, taken.claim);
    }
    this.#remote.missed(nodeId);
  }

  async #runAgain(
    keys: ReplyKeys,
    epoch: number,
    text: string,
    claim: RequestClaim | undefined,
  ): Promise<void> {
    const { command, names } = JSON.parse(text) as Kept;
    this.#takenOver.rerun++;
    this.#begun.set(names.streamId, { keys, claim, epoch });
    try {
      await this.#local.start(command, names);
    } catch (error) {
      await this.#endUnasked(keys, epoch, command, names.conversationId, claim, error);
    } finally {
      this.#begun.delete(names.streamId);
    }
  }

  /** Ends a reply that cannot be run here. */
  async #endUnasked(
    keys: ReplyKeys,
    epoch: number,
    { userId }: StartCommand,
    conversationId: string,
    claim: RequestClaim | undefined,
    cause: unknown,
  ): Promise<void> {
    const { code, message, details } = toClientError(cause);
    const id = { epoch, seq: 1 };
    await this.table.append(keys, id, [
      0,
      0,
      [
        ['e', code, details],
        ['f', { type: 'error', code, message }],
      ],
    ]);
    await this.table.end({ keys, userId, conversationId, claim }, id, false);
  }
}

/** A request for those who run it again; empty where it is too large. */
function textOf(command: StartCommand, { streamId, conversationId }: ReplyNames): string {
  const { connection: _, ...asked } = command;
  const text = JSON.stringify({ command: asked, names: { streamId, conversationId } } satisfies Kept);
  return text.length > commandLimitChars ? '' : text;
}
