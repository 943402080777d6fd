import type { ApprovalRequired, Logprob, ToolCall, ToolCallPiece } from '../../contracts/agent.js';
import type { ReadableListener } from '../../contracts/readable.js';
import type { LogEntry, PieceEntry as Piece, ReplyReader, StreamFrame } from '../../contracts/stream.js';
import { WaggleError } from '../../errors.js';
import { JoinedContent } from './joined-content.js';
import {
  after,
  CallEntry,
  ContentEntry,
  ContentKind,
  type Entry,
  FrameEntry,
  isTerminal,
  LogprobsEntry,
  merged,
  PieceEntry,
  piecesOf,
} from './log-entry.js';

/** Whoever is this many frames behind was held up, also if he does not say so. */
const mergeAboveFrames = 1024;
/** Fewer pieces are not worth the way to where they are joined. */
const foldFrames = 4;
/** What one pull gives at the most, so that a long backlog does not fill a reader's buffers in one go. */
const batchChars = 32 * 1024;
/** The same in pieces, each of which becomes an event many times its size. */
const piecesChars = 4 * 1024;

/** No content of a log is held back. Above all indexes of entries. */
const nowhere = 0x3fff_ffff;

/** What a log tells its owner. */
export interface LogEvents {
  /** There is something new; the owner calls `wake` before long. */
  grew(): void;
  /** The number of readers has changed. */
  readersChanged(count: number): void;
}

/** What happened in one reply, in order, for any number of readers at their own pace. A reader is a place in the list. */
export class ReplyLog {
  /** True once a reader has had all of it, the terminal frame included. */
  wasRead = false;
  /** The newest time that it had grown; undefined before the first. */
  grewAtMs: number | undefined;
  /** Whether a reader may have more of it than there is here yet. */
  isPartial = false;
  readonly #entries: Entry[] = [];
  #readers: readonly Reader[] = [];
  readonly #events: LogEvents;
  readonly #text: ContentKind;
  #thinkingIfAny: ContentKind | undefined;
  #position = 0;
  /** Where the entries begin that some reader has not taken. */
  #foldedTo = 0;
  /** What goes in the place of the entry before them, once somebody asks. */
  #joined: JoinedContent | undefined;
  #isAnnounced = false;
  #ended = false;
  #tap: Tap | undefined;
  /** The index from which on nothing is shown to readers, and the position before it. */
  #heldFrom = nowhere;
  #heldPosition = 0;
  readonly #streamId: string;
  #hasPieces = false;

  constructor(streamId: string, events: LogEvents) {
    this.#streamId = streamId;
    this.#events = events;
    this.#text = new ContentKind('streaming_token', streamId);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** UTF-16 code units of all content so far. */
  get position(): number {
    return this.#position;
  }

  /** The answer itself, without the model's reasoning. */
  get text(): string {
    this.#settle();
    const pieces: string[] = [];
    for (const entry of this.#entries)
      if (entry instanceof ContentEntry && entry.kind === this.#text) pieces.push(entry.content);
    return pieces.join('');
  }

  get readers(): number {
    return this.#readers.length;
  }

  /** The time since it has grown. */
  get quietMs(): number {
    const now = performance.now();
    return Math.round(now - (this.grewAtMs ?? now));
  }

  /** Adds a piece of content; `announce` tells of it. After the terminal frame it adds nothing. */
  write(type: 'text' | 'thinking', content: string): void {
    if (this.#ended) return;
    this.#position += content.length;
    const kind = type === 'text' ? this.#text : this.#thinking;
    this.#entries.push(new ContentEntry(kind, content, this.#position));
  }

  /** Adds any other frame; `announce` tells of it. Gives the characters that it takes of the limits. */
  add(frame: StreamFrame): number {
    if (this.#ended) return 0;
    if (frame.type === 'message') this.#position += frame.content.length;
    const entry = new FrameEntry(frame, this.#position);
    const { chars } = entry;
    this.#entries.push(entry);
    this.#ended = isTerminal(frame.type);
    return chars;
  }

  /** The same for a tool call. */
  addCall({ id, name, arguments: args, extra, executor = 'client' }: ToolCall): number {
    const call = { id, name, arguments: args, ...(extra && { extra }), executor };
    return this.#addCall('streaming_tool_call', call, { executor });
  }

  /** The same for the question whether a tool call may be run. */
  addApproval({ id, name, arguments: args, expiresInMs }: ApprovalRequired): number {
    return this.#addCall('approval_required', { id, name, arguments: args }, { expiresInMs });
  }

  #addCall(type: CallEntry['type'], call: ToolCall, more: object): number {
    if (this.#ended) return 0;
    const entry = new CallEntry(type, call, more, this.#streamId, this.#position);
    this.#entries.push(entry);
    return entry.chars;
  }

  /** Adds a part of a tool call. */
  addPiece(piece: ToolCallPiece): void {
    if (this.#ended) return;
    this.#hasPieces = true;
    this.#entries.push(new PieceEntry(piece, this.#position));
  }

  /** Adds the log probabilities of the text that comes next. Gives the characters that it takes of the limits. */
  addLogprobs(logprobs: readonly Logprob[]): number {
    if (this.#ended) return 0;
    this.#hasPieces = true;
    const entry = new LogprobsEntry(logprobs, this.#position);
    this.#entries.push(entry);
    return entry.chars;
  }

  /** Whether a reader who wants none has to leave some out. */
  get hasPieces(): boolean {
    return this.#hasPieces;
  }

  /** Keeps everything that comes from readers, until `release` or `dropHeld`. */
  hold(): void {
    this.#settle();
    this.#heldFrom = this.#entries.length;
    this.#heldPosition = this.#position;
  }

  release(): void {
    this.#heldFrom = nowhere;
    this.announce();
  }

  /** What was held has never been. */
  dropHeld(): void {
    if (!this.isHeld) return;
    this.#entries.length = this.#heldFrom;
    this.#position = this.#heldPosition;
    for (const reader of this.#readers) reader.goBack(this.#heldFrom);
    this.#heldFrom = nowhere;
  }

  get isHeld(): boolean {
    return this.#heldFrom !== nowhere;
  }

  /** The position of what readers may have. */
  get shownPosition(): number {
    return this.isHeld ? this.#heldPosition : this.#position;
  }

  /** The number of entries that readers may have. */
  get shown(): number {
    return Math.min(this.#entries.length, this.#heldFrom);
  }

  /** Everything that comes, for one who is no reader and takes it only now and then; what has come already is the first. */
  tap(grew: () => void): Tap {
    this.#settle();
    this.#tap = new Tap(
      grew,
      (from) => this.#entries.slice(from, this.shown),
      () => this.#foldIfLong(),
    );
    return this.#tap;
  }

  /** All that readers may have, joined as far as everybody has taken it. */
  all(): readonly Entry[] {
    this.#settle();
    return this.#entries.slice(0, this.shown);
  }

  /** Something was added: the owner hears of it once until it calls `wake`. */
  announce(): void {
    if (this.#isAnnounced) return;
    this.#isAnnounced = true;
    this.#events.grew();
  }

  /** Lets every reader that waits go on. @throws what a listener threw, once all others were woken; its reader is gone */
  wake(): void {
    this.#isAnnounced = false;
    let failed: { readonly error: unknown } | undefined;
    for (const reader of this.#readers)
      try {
        reader.wake();
      } catch (error) {
        reader.drop();
        failed ??= { error };
      }
    this.#tap?.grew();
    if (failed) throw failed.error;
    this.#foldIfLong();
  }

  /** A reader from the first frame on, or one that goes on after `position`. @throws INVALID_REQUEST */
  read(position?: number): ReplyReader {
    return this.#read(position, 'frames') as ReplyReader;
  }

  /** From the first frame on, in the pieces in which they came, those of tool calls included. */
  readPieces({ merge = true }: { readonly merge?: boolean } = {}): ReplyReader<LogEntry | Piece> {
    return this.#read(undefined, merge ? 'pieces' : 'apart');
  }

  #read(position: number | undefined, form: Form): Reader {
    if (position !== undefined && position > this.#position && !this.isPartial)
      throw new WaggleError('INVALID_REQUEST', {
        issues: [`position: only ${this.#position} characters were sent`],
      });
    this.#settle();
    const reader = new Reader(this, this.#entries, position, form);
    this.#readers = [...this.#readers, reader];
    this.#readersChanged();
    return reader;
  }

  /** A fold visits every reader, so it waits for as many pieces. */
  #foldIfLong(): void {
    if (this.#entries.length - this.#foldedTo >= Math.max(foldFrames, this.#readers.length)) this.#fold();
  }

  /** Joins what every reader has taken: each piece by itself would be work for the garbage collector. */
  #fold(): void {
    const { length } = this.#entries;
    if (this.isHeld || (this.#tap && this.#tap.at < length)) return;
    for (const reader of this.#readers) if (!reader.hasTaken(length)) return;
    const taken = this.#entries.slice(this.#foldedTo);
    for (const entry of taken) {
      if (this.#joined?.add(entry)) continue;
      this.#settle();
      // Only the newest place in the line is of use to those who come later.
      if (entry.type === 'queue_update' && this.#entries[this.#foldedTo - 1]?.type === entry.type)
        this.#foldedTo--;
      this.#entries[this.#foldedTo++] = entry;
      if (JoinedContent.suits(entry)) this.#joined = new JoinedContent(entry);
    }
    this.#entries.length = this.#foldedTo;
    for (const reader of this.#readers) reader.goTo(this.#foldedTo);
    this.#tap?.goTo(this.#foldedTo);
  }

  #settle(): void {
    if (this.#joined) this.#entries[this.#foldedTo - 1] = this.#joined.entry;
    this.#joined = undefined;
  }

  get #thinking(): ContentKind {
    if (!this.#thinkingIfAny) {
      this.#thinkingIfAny = new ContentKind('streaming_thinking', this.#streamId);
      this.#thinkingIfAny.isShared = this.#text.isShared;
    }
    return this.#thinkingIfAny;
  }

  /** Reads no more. */
  leave(reader: Reader): void {
    if (!this.#readers.includes(reader)) return;
    // Replaced, not changed: readers leave while the others are being woken.
    this.#readers = this.#readers.filter((each) => each !== reader);
    this.#readersChanged();
  }

  #readersChanged(): void {
    const { length: size } = this.#readers;
    this.#text.isShared = size > 1;
    if (this.#thinkingIfAny) this.#thinkingIfAny.isShared = size > 1;
    this.#events.readersChanged(size);
  }
}

/** The place of one who takes everything, when it suits him. */
export class Tap {
  /** The number of entries that are taken. */
  at = 0;
  /** Called once in a turn of the event loop in which something came, at the most. */
  readonly grew: () => void;
  readonly #from: (index: number) => readonly Entry[];
  readonly #taken: () => void;

  constructor(grew: () => void, from: (index: number) => readonly Entry[], taken: () => void) {
    this.grew = grew;
    this.#from = from;
    this.#taken = taken;
  }

  /** What has come since the last time. */
  take(): readonly Entry[] {
    const batch = this.#from(this.at);
    this.at += batch.length;
    this.#taken();
    return batch;
  }

  /** The entries before its place have become fewer. */
  goTo(index: number): void {
    this.at = index;
  }
}

/** The entries of a reader: without the pieces of tool calls; with them; or all of them, never merged. */
type Form = 'frames' | 'pieces' | 'apart';

const nothing: readonly Entry[] = [];
const done = { done: true, value: undefined } as const;

class Reader implements ReplyReader<Entry> {
  readonly #log: ReplyLog;
  readonly #entries: readonly Entry[];
  /** What the consumer has already; undefined once that is passed, or when it began at the beginning. */
  #position: number | undefined;
  readonly #form: Form;
  #begun: boolean;
  #at = 0;
  #left = false;
  #merge = false;
  #listener: ReadableListener | undefined;
  #wake: (() => void) | undefined;

  constructor(log: ReplyLog, entries: readonly Entry[], position: number | undefined, form: Form) {
    this.#log = log;
    this.#entries = entries;
    this.#position = position;
    this.#form = form;
    this.#begun = position === undefined;
  }

  /** Whether it has all of the first `count` entries, and holds no place among them. */
  hasTaken(count: number): boolean {
    return this.#begun && this.#at >= count;
  }

  /** The entries before its place have become fewer. */
  goTo(index: number): void {
    this.#at = index;
  }

  /** The last entries have gone. */
  goBack(length: number): void {
    this.#at = Math.min(this.#at, length);
  }

  take(): readonly Entry[] | undefined {
    if (this.#left) return undefined;
    const all = this.#begun ? this.#take() : this.#begin(this.#position ?? 0);
    const batch = this.#log.hasPieces && this.#form === 'frames' ? all.filter(isNoPiece) : all;
    // All of it was left out.
    if (batch.length < all.length && batch.length === 0) return this.take();
    if (batch.length > 0 || !this.#log.ended) return batch;
    this.#log.wasRead = true;
    void this.return();
    return undefined;
  }

  onReadable(listener: ReadableListener): void {
    this.#listener = listener;
  }

  // Not a generator: its return() would wait for the next frame.
  async next(): Promise<IteratorResult<readonly Entry[]>> {
    for (;;) {
      const batch = this.take();
      if (!batch) return done;
      if (batch.length > 0) return { done: false, value: batch };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<readonly Entry[]>> {
    if (this.#left) return done;
    this.#left = true;
    this.#log.leave(this);
    this.wake();
    return done;
  }

  merge(): void {
    this.#merge = this.#form !== 'apart';
  }

  /** Its listener has failed and is not asked again. */
  drop(): void {
    this.#listener = undefined;
    void this.return();
  }

  wake(): void {
    this.#listener?.readable();
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(): readonly Entry[] {
    if (this.#position !== undefined) this.#skip(this.#position);
    const { shown } = this.#log;
    const behind = shown - this.#at;
    if (behind <= 0) return nothing;
    const from = this.#at;
    this.#at = this.#endOfBatch(shown);
    const batch = this.#entries.slice(from, this.#at);
    if (this.#position !== undefined) batch[0] = after(batch[0] as Entry, this.#position);
    this.#position = undefined;
    const isBehind = this.#merge || (behind > mergeAboveFrames && this.#form !== 'apart');
    if (!isBehind) return this.#form === 'frames' ? batch : batch.flatMap(piecesOf);
    // Until it has caught up.
    this.#merge = this.#at < shown;
    return merged(batch);
  }

  /** Passes what its consumer has already, which may have come here after it began. What ends the reply is never passed. */
  #skip(position: number): void {
    const after = indexAfter(this.#entries, position);
    const last = this.#entries.length - 1;
    this.#at = Math.max(this.#at, this.#log.ended ? Math.min(after, last) : after);
  }

  #endOfBatch(length: number): number {
    let end = this.#at + 1;
    let chars = charsAt(this.#entries, this.#at);
    const mostChars = this.#form === 'apart' ? piecesChars : batchChars;
    for (; end < length; end++) {
      chars += charsAt(this.#entries, end);
      if (chars > mostChars) break;
    }
    return end;
  }

  /** `streaming_start` anew; what lies after the position follows, in few frames. */
  #begin(position: number): readonly Entry[] {
    const start = this.#entries.find(({ type }) => type === 'streaming_start');
    // An error may end a reply before it has started.
    if (!(start instanceof FrameEntry) && !this.#log.ended) return nothing;
    this.#begun = true;
    this.#merge = true;
    this.#at = 0;
    if (start) this.#skip(position);
    else this.#at = this.#entries.length - 1;
    if (!(start instanceof FrameEntry)) return this.#take();
    const resumed = new FrameEntry({ ...start.frame, resumed: true } as StreamFrame, position);
    return [resumed, ...(this.#log.ended ? [] : openQuestions(this.#entries.slice(0, this.#at)))];
  }
}

/** The questions and the calls for the client among these entries that have no answer among them. */
function openQuestions(entries: readonly Entry[]): readonly Entry[] {
  const open = new Map<string, Entry>();
  for (const entry of entries)
    if (entry instanceof CallEntry) {
      if (entry.type === 'approval_required' || entry.toolCall.executor === 'client')
        open.set(`${entry.type} ${entry.toolCall.id}`, entry);
    } else if (entry instanceof FrameEntry) {
      const { frame } = entry;
      if (frame.type === 'approval_resolved') open.delete(`approval_required ${frame.id}`);
      else if (frame.type === 'streaming_tool_result') open.delete(`streaming_tool_call ${frame.id}`);
    }
  return [...open.values()];
}

function isNoPiece({ type }: Entry): boolean {
  return type !== 'tool_call_piece' && type !== 'logprobs';
}

function charsAt(entries: readonly Entry[], index: number): number {
  return (entries[index] as Entry).chars;
}

/** The first entry that has something after `position`. What has no content stands behind the content before it. */
function indexAfter(entries: readonly Entry[], position: number): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle] as Entry).position > position) high = middle;
    else low = middle + 1;
  }
  // At the same position: what is no content comes again rather than never.
  while (low > 0 && isRepeatable(entries[low - 1] as Entry, position)) low--;
  return low;
}

function isRepeatable({ type, position: at }: Entry, position: number): boolean {
  return at === position && (repeatable.has(type) || isTerminal(type));
}

const repeatable: ReadonlySet<Entry['type']> = new Set([
  'streaming_tool_call',
  'streaming_tool_result',
  'streaming_agent',
  'approval_required',
  'approval_resolved',
  'tool_call_piece',
] as const);
