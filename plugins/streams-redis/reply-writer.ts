import { type Logger, WaggleError } from '#kernel';
import { deferred, settleWithin } from '#sdk';
import { unavailable } from '#sdk/redis';
import { type LocalReply, type Run, runsOf, type Tap } from '#sdk/streams';
import {
  type Entry,
  type EntryId,
  isFenced,
  type Outcome,
  type ReplyRecord,
  type ReplyTable,
} from './reply-table.js';

/** The surroundings of a writer. */
export interface WriterHost {
  readonly table: ReplyTable;
  readonly logger: Logger;
  /** There is something new to write. */
  grew(writer: ReplyWriter): void;
  /** An entry for a node that reads along. */
  push(nodeId: string, hash: string, id: EntryId, entry: Entry): void;
  /** The engine has not all of the log; `restore` is to be called before long. */
  behind(writer: ReplyWriter): void;
  /** Another node has taken the reply over. */
  fenced(writer: ReplyWriter, error: WaggleError<'SERVER_LOST'>): void;
}

/** How long the first content of a reply waits for the engine. */
const releaseMs = 5000;
const retryAfterMs = 1000;

/**
 * Writes the log of a reply that runs here to the engine, behind its delivery. No entry is ever sent twice: what may be lost is
 * followed by an entry with the whole log, so that an entry that is refused has one meaning only.
 */
export class ReplyWriter {
  readonly reply: LocalReply;
  readonly record: ReplyRecord;
  readonly epoch: number;
  readonly #host: WriterHost;
  readonly #tap: Tap;
  /** Of the last entry, and of the last one that the engine has. */
  #seq = 0;
  #acked = -1;
  #isBehind = false;
  #isClosed = false;
  /** Whether content may have been shown. */
  #isSent = false;
  #flushedPosition = 0;
  /** Undefined until it has ended. */
  #isAnswered: boolean | undefined;
  #waiting: { readonly seq: number; readonly acked: ReturnType<typeof deferred<void>> }[] = [];
  /** The readers on each node that reads along. */
  readonly #readers = new Map<string, number>();

  constructor(reply: LocalReply, record: ReplyRecord, epoch: number, host: WriterHost) {
    this.reply = reply;
    this.record = record;
    this.epoch = epoch;
    this.#host = host;
    this.#tap = reply.tap(() => host.grew(this));
  }

  get hash(): string {
    return this.record.keys.hash;
  }

  get last(): EntryId {
    return { epoch: this.epoch, seq: this.#seq };
  }

  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Whether somebody on another node waits for what is new. */
  get isWatched(): boolean {
    return this.#readers.size > 0;
  }

  get readersElsewhere(): number {
    let sum = 0;
    for (const count of this.#readers.values()) sum += count;
    return sum;
  }

  /** Characters that are not written yet. */
  get unflushedChars(): number {
    return this.#isClosed ? 0 : this.reply.shownPosition - this.#flushedPosition;
  }

  /** A node reads along, with so many readers; with undefined it does not. */
  setReaders(nodeId: string, count: number | undefined): void {
    if (count === undefined) this.#readers.delete(nodeId);
    else this.#readers.set(nodeId, count);
    this.reply.readersElsewhere = this.readersElsewhere;
  }

  /** The nodes that read along. */
  get watchers(): Iterable<string> {
    return this.#readers.keys();
  }

  /** `began`: the result of the command that has made the log. */
  begin(began: Promise<unknown>): void {
    const id = this.last;
    this.#await(
      id,
      began.then(() => 'done' as const),
    );
  }

  /** Writes what is new. */
  flush(isForced = false): void {
    if (this.#isClosed) return;
    const entries = this.#tap.take();
    if (entries.length === 0 && !isForced) return;
    const id = this.#next();
    const entry: Entry = [this.reply.shownPosition, 0, this.#runsOf(entries)];
    const written = this.#isBehind ? undefined : this.#host.table.append(this.record.keys, id, entry);
    this.#send(
      id,
      entry,
      written?.then((isThere) => (isThere ? 'done' : 'not whole')),
    );
  }

  /** Writes the whole log, which the engine has not. */
  restore(): void {
    if (this.#isClosed || !this.#isBehind) return;
    this.#isBehind = false;
    this.#tap.take();
    const id = this.#next();
    const entry: Entry = [this.reply.shownPosition, 1, this.#runsOf(this.reply.entries())];
    this.#send(id, entry, this.#host.table.restore(this.record, id, entry, this.#isSent));
  }

  /** The first content is about to be shown; resolves once the engine knows. @throws ENGINE_UNAVAILABLE */
  async release(): Promise<void> {
    const { table } = this.#host;
    const { keys } = this.record;
    this.#isSent = true;
    // Before the entry, so that it is true whenever the entry is there.
    this.#await(
      undefined,
      table.sent(keys).then(() => 'done'),
    );
    this.flush(true);
    void table.dropCommand(keys).catch(() => {}); // it expires
    await this.#acknowledged(this.#seq, releaseMs);
  }

  /** Resolves once the engine has all of the log. @throws ENGINE_UNAVAILABLE */
  async sync(boundMs: number): Promise<EntryId> {
    this.flush();
    const { last } = this;
    await this.#acknowledged(last.seq, boundMs);
    return last;
  }

  /** The reply has ended. The rest is written at once, so that the request is free for all who know of the end. */
  ended(isAnswered: boolean): void {
    this.#isAnswered = isAnswered;
    this.flush();
  }

  /** Compares with what the engine says, which may have less than it had. */
  compare(owner: string | undefined, last: EntryId | undefined, nodeId: string): void {
    if (this.#isClosed) return;
    if ((owner !== undefined && owner !== nodeId) || (last && last.epoch > this.epoch)) this.#fence();
    else if (owner === undefined || !last || last.seq < this.#acked) this.#fallBehind();
  }

  close(why: WaggleError = unavailable('this server is stopping')): void {
    this.#isClosed = true;
    for (const { acked } of this.#waiting) acked.reject(why);
    this.#waiting = [];
  }

  #next(): EntryId {
    this.#seq++;
    this.#flushedPosition = this.reply.shownPosition;
    return this.last;
  }

  #send(id: EntryId, entry: Entry, written: Promise<Outcome> | undefined): void {
    if (written) this.#await(id, written);
    for (const nodeId of this.#readers.keys()) this.#host.push(nodeId, this.hash, id, entry);
    if (this.#isAnswered !== undefined && this.reply.ended && written) this.#end(this.#isAnswered);
  }

  #end(isAnswered: boolean): void {
    this.#await(undefined, this.#host.table.end(this.record, this.last, isAnswered));
  }

  #await(id: EntryId | undefined, written: Promise<Outcome>): void {
    written.then(
      (outcome) => {
        if (this.#isClosed) return;
        if (outcome === 'of another node') this.#fence();
        else if (outcome === 'not whole') this.#fallBehind();
        else if (id) this.#onAcked(id.seq);
      },
      (error: unknown) => {
        if (this.#isClosed) return;
        if (isFenced(error)) this.#fence();
        else this.#fallBehind(error);
      },
    );
  }

  #onAcked(seq: number): void {
    this.#acked = Math.max(this.#acked, seq);
    if (this.#isBehind) return;
    this.#waiting = this.#waiting.filter((each) => {
      if (each.seq > seq) return true;
      each.acked.resolve();
      return false;
    });
  }

  #fallBehind(error?: unknown): void {
    if (error !== undefined && !WaggleError.is(error, 'ENGINE_UNAVAILABLE'))
      this.#host.logger.error({ err: error, reply: this.hash.slice(0, 6) }, 'a log cannot be written');
    // Without memory there, the next attempt fares no better.
    if (isRefused(error)) {
      for (const { acked } of this.#waiting) acked.reject(error);
      this.#waiting = [];
    }
    this.#isBehind = true;
    this.#host.behind(this);
  }

  #fence(): void {
    if (this.#isClosed) return;
    const lost = new WaggleError('SERVER_LOST', { retryAfterMs });
    this.close(lost);
    this.#host.fenced(this, lost);
  }

  async #acknowledged(seq: number, boundMs: number): Promise<void> {
    if (this.#acked >= seq && !this.#isBehind) return;
    const acked = deferred();
    this.#waiting.push({ seq, acked });
    if (await settleWithin(acked.promise, boundMs)) return;
    this.#waiting = this.#waiting.filter((each) => each.acked !== acked);
    throw unavailable('it does not respond');
  }

  #runsOf(entries: Parameters<typeof runsOf>[0]): readonly Run[] {
    const runs = runsOf(entries);
    const { ended, failure } = this.reply;
    if (ended && failure && runs.length > 0) runs.splice(-1, 0, ['e', failure.code, failure.details ?? {}]);
    return runs;
  }
}

/** Whether the engine is there and takes no writes. */
function isRefused(error: unknown): boolean {
  const { cause } = (error ?? {}) as { readonly cause?: unknown };
  return cause instanceof Error && /^(OOM|MISCONF|NOREPLICAS)/.test(cause.message);
}
