import { randomBytes } from 'node:crypto';
import { ModelError, PieceError, type PieceReader, parseJson, type StreamChunk, type Usage } from '#kernel';

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

  /** All tool calls together may have `limitChars`. */
  constructor(limitChars: number) {
    this.#limitChars = limitChars;
    this.#roomChars = limitChars;
  }

  /** Whether `done` was given. */
  get over(): boolean {
    return this.#over;
  }

  /** Adds the chunks of one event's data, or of a whole answer, to `chunks`. @throws PieceError, ModelError */
  read(data: string, chunks: StreamChunk[]): void {
    if (data === '[DONE]') {
      this.#reason ??= 'stop';
      this.end(chunks);
      return;
    }
    const { error, choices, usage, model } = parse(data);
    if (error !== undefined && error !== null) throw new ModelError(textOf(error));
    if (isFields(usage))
      this.#usage = {
        inputTokens: count(usage.prompt_tokens),
        outputTokens: count(usage.completion_tokens),
      };
    if (typeof model === 'string' && model !== '') this.#model = model;
    const [choice] = Array.isArray(choices) ? choices : [];
    if (!isFields(choice)) return;
    const delta = choice.delta ?? choice.message;
    if (isFields(delta)) this.#delta(delta, chunks);
    if (typeof choice.finish_reason === 'string') this.#reason = choice.finish_reason;
  }

  /** Nothing more will come: ends the answer if the server has said why. */
  end(chunks: StreamChunk[]): void {
    if (this.#over || this.#reason === undefined) return;
    for (const [, { id, name, arguments: args }] of [...this.#calls].sort(([a], [b]) => a - b)) {
      if (name === '') throw new PieceError('a tool call has no name');
      // Some servers give none.
      const given = id || `call_${randomBytes(6).toString('hex')}`;
      chunks.push({ type: 'tool_call', id: given, name, arguments: argumentsOf(args) });
    }
    this.#over = true;
    const reason = this.#reason === 'stop' && this.#calls.size > 0 ? 'tool_calls' : this.#reason;
    chunks.push({
      type: 'done',
      reason,
      ...(this.#usage && { usage: this.#usage }),
      ...(this.#model && { model: this.#model }),
    });
  }

  #delta(delta: Fields, chunks: StreamChunk[]): void {
    const content = delta.content ?? '';
    const thinking = delta.reasoning_content ?? delta.reasoning ?? '';
    const calls = delta.tool_calls ?? [];
    if (typeof content !== 'string' || typeof thinking !== 'string' || !Array.isArray(calls))
      throw new PieceError('a field of an event has the wrong type');
    if (thinking !== '') chunks.push({ type: 'thinking', content: thinking });
    if (content !== '') chunks.push({ type: 'text', content });
    for (const [place, piece] of calls.entries()) if (isFields(piece)) this.#piece(piece, place);
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

function parse(data: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw new PieceError('an event is not valid JSON', { cause });
  }
  if (!isFields(value)) throw new PieceError('an event is not a JSON object');
  return value;
}

/** The text of an error, in any of the forms that servers give it. */
export function textOf(error: unknown): string {
  const text = isFields(error) ? error.message : error;
  return typeof text === 'string' && text !== '' ? text : 'it gave no reason';
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

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
