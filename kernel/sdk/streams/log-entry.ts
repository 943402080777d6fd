import type { Logprob, ToolCall, ToolCallPiece } from '../../contracts/agent.js';
import type { LogEntry, StreamFrame } from '../../contracts/stream.js';
import { charsIn } from '../chars.js';
import { spliceable } from '../raw-json.js';

/** Pieces are put together until they are this long. */
export const mergedChars = 8 * 1024;

type ContentType = 'streaming_token' | 'streaming_thinking';

/** What all pieces of content of one type in one reply have in common. */
export class ContentKind {
  readonly type: ContentType;
  readonly streamId: string;
  /** The frame as JSON up to its content, which comes last but for a position. */
  readonly prefix: string;
  /** Several readers take the same frames: then their JSON is worth keeping. */
  isShared = false;

  constructor(type: ContentType, streamId: string) {
    this.type = type;
    this.streamId = streamId;
    this.prefix = `{"type":"${type}","streamId":${JSON.stringify(streamId)},"content":`;
  }
}

/** A piece of content at its place in a log. There are many of them, and each is kept: it holds no more than it has to. */
export class ContentEntry implements LogEntry {
  readonly kind: ContentKind;
  readonly content: string;
  readonly position: number;
  /** The lengths, less 1, of the pieces that it was joined from. */
  readonly sizes: Uint8Array | undefined;
  #json: string | undefined;

  constructor(kind: ContentKind, content: string, position: number, sizes?: Uint8Array) {
    this.kind = kind;
    this.content = content;
    this.position = position;
    this.sizes = sizes;
  }

  get type(): ContentType {
    return this.kind.type;
  }

  get chars(): number {
    return this.content.length;
  }

  get frame(): StreamFrame {
    const { type, streamId } = this.kind;
    return { type, streamId, content: this.content };
  }

  get json(): string {
    if (!this.kind.isShared) return `${this.kind.prefix}${quoted(this.content)}}`;
    this.#json ??= `${this.kind.prefix}${quoted(this.content)}}`;
    return this.#json;
  }

  get positioned(): string {
    return `${this.kind.prefix}${quoted(this.content)},"position":${this.position}}`;
  }
}

/** Any other frame at its place in a log. */
export class FrameEntry implements LogEntry {
  readonly frame: StreamFrame;
  readonly position: number;
  readonly chars: number;
  #json: string | undefined;
  #wasAsked = false;

  constructor(frame: StreamFrame, position: number) {
    this.frame = frame;
    this.position = position;
    this.chars = charsOf(frame);
  }

  get type(): StreamFrame['type'] {
    return this.frame.type;
  }

  get json(): string {
    const json = this.#json ?? JSON.stringify(this.frame);
    // Kept from the second time on: most replies have one reader, and their frames outlive it.
    if (this.#wasAsked) this.#json = json;
    this.#wasAsked = true;
    return json;
  }

  get positioned(): string {
    return this.json;
  }
}

/** Only what an agent or a tool writes can be long. */
function charsOf(frame: StreamFrame): number {
  if (frame.type === 'message') return frame.content.length;
  return frame.type === 'streaming_tool_result' ? charsIn(frame.output, frame.error) : 0;
}

/** A tool call at its place in a log, or the question whether it may be run. Its arguments stay text: a parsed number may be another one. */
export class CallEntry implements LogEntry {
  readonly type: 'streaming_tool_call' | 'approval_required';
  readonly toolCall: ToolCall;
  readonly position: number;
  readonly json: string;
  /** Other fields of its frame. */
  readonly more: object;
  readonly #streamId: string;
  readonly #isJson: boolean;

  constructor(type: CallEntry['type'], toolCall: ToolCall, more: object, streamId: string, position: number) {
    this.type = type;
    this.toolCall = toolCall;
    this.more = more;
    this.#streamId = streamId;
    this.position = position;
    const { id, name, arguments: text } = toolCall;
    const json = spliceable(text);
    this.#isJson = json !== undefined;
    const rest = json === undefined ? `"argumentsText":${JSON.stringify(text)}` : `"arguments":${json}`;
    this.json = `${JSON.stringify({ type, streamId, id, name, ...more }).slice(0, -1)},${rest}}`;
  }

  get chars(): number {
    const { extra } = this.toolCall;
    return this.json.length + (extra ? charsIn(extra) : 0);
  }

  get frame(): StreamFrame {
    const { type } = this;
    const { id, name, arguments: text } = this.toolCall;
    const args = this.#isJson ? { arguments: JSON.parse(text) as unknown } : { argumentsText: text };
    return { type, streamId: this.#streamId, id, name, ...this.more, ...args } as StreamFrame;
  }

  get positioned(): string {
    return this.json;
  }
}

/** A part of a tool call, for readers that ask for pieces. */
export class PieceEntry {
  readonly type = 'tool_call_piece';
  readonly piece: ToolCallPiece;
  readonly position: number;

  constructor(piece: ToolCallPiece, position: number) {
    this.piece = piece;
    this.position = position;
  }

  get chars(): number {
    return this.piece.arguments.length;
  }
}

/** The log probabilities of the text that follows, for the same readers. */
export class LogprobsEntry {
  readonly type = 'logprobs';
  readonly logprobs: readonly Logprob[];
  readonly position: number;
  readonly chars: number;

  constructor(logprobs: readonly Logprob[], position: number) {
    this.logprobs = logprobs;
    this.position = position;
    this.chars = charsIn(logprobs);
  }
}

/** What is in a log. `chars` is what it takes of the limits. */
export type Entry = ContentEntry | FrameEntry | CallEntry | PieceEntry | LogprobsEntry;

/** Whether the frame ends its reply. */
export function isTerminal(type: Entry['type']): boolean {
  return type === 'streaming_end' || type === 'message' || type === 'cancelled' || type === 'error';
}

/** The part of an entry that lies after `position`. */
export function after(entry: Entry, position: number): Entry {
  if (!(entry instanceof ContentEntry)) return entry;
  const { kind, content } = entry;
  const missing = entry.position - position;
  if (missing >= content.length) return entry;
  return new ContentEntry(kind, missing > 0 ? content.slice(-missing) : '', entry.position);
}

/** The pieces that an entry was joined from. */
export function piecesOf(entry: Entry): readonly Entry[] {
  if (!(entry instanceof ContentEntry) || !entry.sizes) return [entry];
  const { kind, content, sizes, position } = entry;
  const pieces: ContentEntry[] = [];
  let from = 0;
  for (const size of sizes) {
    const to = from + size + 1;
    pieces.push(new ContentEntry(kind, content.slice(from, to), position - content.length + to));
    from = to;
  }
  return pieces;
}

/** The same text in fewer frames: neighbours of one kind become one, up to `mergedChars` each. */
export function merged(entries: readonly Entry[]): readonly Entry[] {
  const result: Entry[] = [];
  let parts: string[] = [];
  let chars = 0;
  for (const [index, entry] of entries.entries()) {
    if (!(entry instanceof ContentEntry)) {
      result.push(entry);
      continue;
    }
    parts.push(entry.content);
    chars += entry.content.length;
    if (entries[index + 1]?.type === entry.type && chars < mergedChars) continue;
    result.push(parts.length > 1 ? new ContentEntry(entry.kind, parts.join(''), entry.position) : entry);
    parts = [];
    chars = 0;
  }
  return result;
}

/** As `JSON.stringify`, which takes several times as long for the short texts that need no escape. */
function quoted(text: string): string {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // Controls, the quote, the backslash, and halves of characters, which must not stand alone.
    if (code < 0x20 || code === 0x22 || code === 0x5c || (code >= 0xd800 && code <= 0xdfff))
      return JSON.stringify(text);
  }
  return `"${text}"`;
}
