import { randomBytes } from 'node:crypto';
import {
  type ContentKind,
  faultIn,
  faultOf,
  finishReason,
  IncompleteError,
  ModelError,
  modelError,
  oneLine,
  PieceError,
  type PieceReader,
  parseJson,
  type ReasoningTags,
  readParts,
  type StreamChunk,
  type Usage,
} from '#kernel';
import { usageIn } from './usage.js';

type Fields = Readonly<Record<string, unknown>>;

/** What a call takes before it says anything. */
const callChars = 64;

interface PartialCall {
  id: string;
  name: string;
  arguments: string;
}

/** Turns the events of one answer into chunks. Tool calls come in pieces and leave whole. */
export class ChunkReader implements PieceReader<string> {
  readonly #calls = new Map<number, PartialCall>();
  readonly #limitChars: number;
  /** What the calls may still bring. */
  #roomChars: number;
  #reason: string | undefined;
  #usage: Usage | undefined;
  #model: string | undefined;
  #over = false;
  #hasSaid = false;
  #hasRefused = false;
  readonly #tags: ReasoningTags | undefined;

  /** All tool calls together may have `limitChars`. */
  constructor(limitChars: number, tags?: ReasoningTags) {
    this.#tags = tags;
    this.#limitChars = limitChars;
    this.#roomChars = limitChars;
  }

  /** Whether `done` was given. */
  get over(): boolean {
    return this.#over;
  }

  /** Adds the chunks of one event's data, or of a whole answer, to `chunks`. @throws PieceError, ModelError, IncompleteError */
  read(data: string, chunks: StreamChunk[]): void {
    const event = parse(data);
    if (event === undefined) return;
    if (event === done) {
      this.end(chunks);
      if (!this.#over) throw new IncompleteError('its answer has no end');
      return;
    }
    const { error, choices, usage, model } = event;
    if (error || !Array.isArray(choices)) {
      const fault = faultIn(event);
      if (fault) throw modelError(fault);
    }
    if (usage) this.#usage = usageIn(usage) ?? this.#usage;
    if (typeof model === 'string' && model !== '') this.#model = model;
    const [choice] = Array.isArray(choices) ? choices : [];
    if (!isFields(choice)) return;
    if (choice.error) throw modelError(faultOf(choice.error));
    const delta = choice.delta ?? choice.message ?? choice.text;
    if (typeof delta === 'string') this.#say('text', delta, chunks);
    else if (isFields(delta)) this.#delta(delta, chunks);
    if (choice.usage) this.#usage = usageIn(choice.usage) ?? this.#usage;
    if (typeof choice.finish_reason === 'string' && choice.finish_reason !== '')
      this.#reason = choice.finish_reason;
  }

  /** Nothing more will come: ends the answer if the server has said why. @throws PieceError, ModelError, IncompleteError */
  end(chunks: StreamChunk[]): void {
    if (this.#over || this.#reason === undefined) return;
    const known = finishReason(this.#reason);
    if (!known) throw new IncompleteError(`its answer ended with "${oneLine(this.#reason)}"`);
    const before = chunks.length;
    this.#tags?.end(chunks);
    this.#hasSaid ||= chunks.length > before;
    if (!this.#hasSaid && this.#calls.size === 0) throw new ModelError(`its answer is empty (${known})`);
    for (const [, { id, name, arguments: args }] of [...this.#calls].sort(([a], [b]) => a - b)) {
      if (name === '') throw new PieceError('a tool call has no name');
      // Some servers give none.
      const given = id || `call_${randomBytes(6).toString('hex')}`;
      chunks.push({ type: 'tool_call', id: given, name, arguments: argumentsOf(args) });
    }
    this.#over = true;
    const ending = known === 'stop' && this.#hasRefused ? 'refusal' : known;
    chunks.push({
      type: 'done',
      reason: ending === 'stop' && this.#calls.size > 0 ? 'tool_calls' : ending,
      ...(this.#usage && { usage: this.#usage }),
      ...(this.#model && { model: this.#model }),
    });
  }

  #delta(delta: Fields, chunks: StreamChunk[]): void {
    const { content, refusal } = delta;
    const thinking = delta.reasoning_content || delta.reasoning || delta.thinking || delta.reasoning_details;
    if (thinking) this.#say('thinking', thinking, chunks);
    if (content !== undefined) this.#say('text', content, chunks);
    if (refusal) this.#say('refusal', refusal, chunks);
    const calls = delta.tool_calls ?? [];
    if (!Array.isArray(calls)) throw new PieceError('a field of an event has the wrong type');
    for (const [place, piece] of calls.entries()) if (isFields(piece)) this.#piece(piece, place);
  }

  #say(kind: ContentKind, content: unknown, chunks: StreamChunk[]): void {
    if (typeof content === 'string') this.#give(kind, content, chunks);
    else readParts(content, kind, (own, text) => this.#give(own, text, chunks));
  }

  #give(kind: ContentKind, content: string, chunks: StreamChunk[]): void {
    if (content === '') return;
    if (kind === 'text' && this.#tags) {
      const before = chunks.length;
      this.#tags.push(content, chunks);
      this.#hasSaid ||= chunks.length > before;
      return;
    }
    this.#hasSaid = true;
    if (kind === 'refusal') this.#hasRefused = true;
    chunks.push({ type: kind === 'thinking' ? kind : 'text', content });
  }

  #piece({ index, id, function: called }: Fields, place: number): void {
    const key = typeof index === 'number' ? index : place;
    const isNew = !this.#calls.has(key);
    const call = this.#calls.get(key) ?? { id: '', name: '', arguments: '' };
    this.#calls.set(key, call);
    const { name, arguments: args } = isFields(called) ? called : {};
    const before = charsOf(call);
    if (typeof id === 'string' && id !== '') call.id = id;
    if (typeof name === 'string' && name !== '') call.name = name;
    if (typeof args === 'string') call.arguments += args;
    else if (isFields(args)) call.arguments = JSON.stringify(args);
    this.#roomChars -= charsOf(call) - before + (isNew ? callChars : 0);
    if (this.#roomChars < 0)
      throw new PieceError(`its tool calls are longer than ${this.#limitChars} characters`);
  }
}

function charsOf({ id, name, arguments: args }: PartialCall): number {
  return id.length + name.length + args.length;
}

/** The event of a stream that is its end. */
const done: Fields = {};

/** An event, `done`, or nothing for one that says nothing. @throws PieceError */
function parse(data: string): Fields | undefined {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    const text = data.trim();
    if (text === '') return undefined;
    if (/^\[?done\]?$/i.test(text)) return done;
    throw new PieceError('an event is not valid JSON', { cause });
  }
  if (isFields(value)) return value;
  const fault = faultIn(value);
  if (fault) throw modelError(fault);
  throw new PieceError('an event is not a JSON object');
}

/** Models write them, so they need not be JSON, nor may they be deeper than the requests that bring them back. */
function argumentsOf(text: string): unknown {
  if (text.trim() === '') return {};
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
