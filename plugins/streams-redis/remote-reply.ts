import type {
  CancelReason,
  CancelReceipt,
  ClientAnswer,
  ClientErrorCode,
  LogEntry,
  PieceEntry,
  Reply,
  ReplyProgress,
  ReplyReader,
  StreamFrame,
  WaggleError,
  WholeReply,
} from '#kernel';
import { LogCopy, ReplyLog, wholeReply } from '#sdk/streams';
import type { ReplyKeys } from './keys.js';
import type { Entry, EntryId } from './reply-table.js';

/** The part of this node that a reply of another one needs. */
export interface RemoteHost {
  /** The readers of a log have to be woken soon. */
  stale(log: ReplyLog): void;
  readersChanged(reply: RemoteReply, count: number): void;
  cancel(reply: RemoteReply, reason: CancelReason): Promise<CancelReceipt | undefined>;
  answer(reply: RemoteReply, callId: string, answer: ClientAnswer): Promise<void>;
}

/** Entries that came before their turn; with more, all are read again. */
const maxEarly = 1000;

/** A copy of the log of a reply that another node runs. */
export class RemoteReply implements Reply {
  readonly streamId: string;
  readonly keys: ReplyKeys;
  readonly conversationId: string;
  readonly userId: string;
  /** The node that runs it. */
  nodeId: string;
  /** The last entry that its owner has told of. */
  wanted: EntryId | undefined;
  /** When it was last found or left. */
  usedAtMs = performance.now();
  readonly #host: RemoteHost;
  readonly #log: ReplyLog;
  readonly #copy: LogCopy;
  #at: EntryId | undefined;
  readonly #early = new Map<number, Entry>();
  #agent = 'queen';
  #isAnswered = true;
  #readers = 0;

  constructor(
    streamId: string,
    keys: ReplyKeys,
    about: {
      readonly userId: string;
      readonly conversationId: string;
      readonly nodeId: string;
      readonly requestId: string | undefined;
    },
    host: RemoteHost,
  ) {
    this.streamId = streamId;
    this.keys = keys;
    this.userId = about.userId;
    this.conversationId = about.conversationId;
    this.nodeId = about.nodeId;
    this.#host = host;
    this.#log = new ReplyLog(streamId, {
      grew: () => host.stale(this.#log),
      readersChanged: (count) => {
        this.#readers = count;
        this.usedAtMs = performance.now();
        host.readersChanged(this, count);
      },
    });
    // While it runs, a client that comes from its owner may have more.
    this.#log.isPartial = true;
    this.#copy = new LogCopy(this.#log, { streamId, requestId: about.requestId });
  }

  get hash(): string {
    return this.keys.hash;
  }

  /** The last entry that is here. */
  get at(): EntryId | undefined {
    return this.#at;
  }

  /** Whether all that is known to exist is here. */
  get isCaughtUp(): boolean {
    if (this.ended) return true;
    return this.#early.size === 0 && !isAfter(this.wanted, this.#at);
  }

  get ended(): boolean {
    return this.#log.ended;
  }

  get position(): number {
    return this.#log.position;
  }

  get wasRead(): boolean {
    return this.#log.wasRead;
  }

  get readers(): number {
    return this.#readers;
  }

  get failure(): WaggleError<ClientErrorCode> | undefined {
    return this.#copy.failure;
  }

  /** Whether the same request gets this reply, and not another one. */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** The agent that answers, as far as it is known. */
  get agent(): string {
    return this.#agent;
  }

  get progress(): ReplyProgress | undefined {
    if (this.ended) return undefined;
    const about = { agent: this.#agent, readers: this.#readers };
    if (this.position > 0) return { ...about, phase: 'streaming', quietMs: this.#log.quietMs };
    return { ...about, phase: (this.#at?.seq ?? 0) > 0 ? 'starting' : 'waiting' };
  }

  read(position?: number): ReplyReader {
    return this.#log.read(position);
  }

  readPieces(options?: { readonly merge?: boolean }): ReplyReader<LogEntry | PieceEntry> {
    return this.#log.readPieces(options);
  }

  whole(signal?: AbortSignal): Promise<WholeReply> {
    return wholeReply(this, signal);
  }

  cancel(reason: CancelReason): Promise<CancelReceipt | undefined> {
    return this.#host.cancel(this, reason);
  }

  answer(callId: string, answer: ClientAnswer): Promise<void> {
    return this.#host.answer(this, callId, answer);
  }

  /** An entry that was read from the log of the engine, in order. False where one before it is missing. */
  inOrder(id: EntryId, entry: Entry): boolean {
    return this.#take(id, entry, true);
  }

  /** An entry from its owner, in any order, perhaps again. False where one before it is missing. */
  pushed(id: EntryId, entry: Entry): boolean {
    if (this.#take(id, entry, false)) {
      this.takeEarly();
      return true;
    }
    if (this.#early.size >= maxEarly) this.#early.clear();
    if (id.epoch === this.#at?.epoch) this.#early.set(id.seq, entry);
    if (isAfter(id, this.wanted)) this.wanted = id;
    return false;
  }

  #take(id: EntryId, [position, isWhole, runs]: Entry, isInOrder: boolean): boolean {
    if (!isAfter(id, this.#at)) return true;
    const isSameEpoch = id.epoch === this.#at?.epoch;
    const isNext = isSameEpoch ? id.seq === (this.#at?.seq ?? 0) + 1 : isInOrder && id.seq === 0;
    const hasAll = isWhole && (isSameEpoch || isInOrder);
    if (!hasAll && !isNext) return false;
    if (!isSameEpoch && this.#at) this.#copy.restart();
    if (hasAll) this.#copy.complete(runs);
    else this.#copy.add(runs);
    for (const run of runs) if (run[0] === 'f') this.#notice(run[1] as StreamFrame);
    // The owner may have shown more than the engine has.
    if (this.ended) this.#log.isPartial = this.failure?.code === 'SERVER_LOST';
    this.#at = id;
    if (!isSameEpoch) this.#early.clear();
    if (this.#log.position !== position)
      throw new Error(`a log has ${this.#log.position} characters in place of ${position}`);
    return true;
  }

  #notice(frame: StreamFrame): void {
    if ('agent' in frame) this.#agent = frame.agent;
    if (frame.type === 'error') this.#isAnswered = false;
    else if (frame.type === 'cancelled') this.#isAnswered = frame.reason === 'client';
  }

  /** Adds what has come too early and is next now. */
  takeEarly(): void {
    for (;;) {
      const { epoch = 0, seq = 0 } = this.#at ?? {};
      for (const early of this.#early.keys()) if (early <= seq) this.#early.delete(early);
      const next = this.#early.get(seq + 1);
      if (!next) return;
      this.#early.delete(seq + 1);
      this.#take({ epoch, seq: seq + 1 }, next, false);
    }
  }

  /** Nothing more will come, and its end is lost: it ends with an error here. */
  lose(error: WaggleError<ClientErrorCode>): void {
    const { code, message, details } = error;
    this.#copy.add([
      ['e', code, details],
      ['f', { type: 'error', code, message, streamId: 0 }],
    ]);
  }
}

/** Whether an entry comes after another one; each may be unknown. */
export function isAfter(id: EntryId | undefined, other: EntryId | undefined): boolean {
  if (!id || !other) return id !== undefined;
  return id.epoch > other.epoch || (id.epoch === other.epoch && id.seq > other.seq);
}
