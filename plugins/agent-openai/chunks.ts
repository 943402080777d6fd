import type { StreamChunk, Usage } from '#kernel';
import { isJsonObject } from '#sdk';
import {
  faultIn,
  faultOf,
  IncompleteError,
  logprobsIn,
  modelError,
  PieceError,
  type PieceReader,
  type ReasoningTags,
  Said,
} from '#sdk/upstream';
import { indexOf, ToolCalls } from './tool-calls.js';
import { usageIn } from './usage.js';

type Fields = Readonly<Record<string, unknown>>;

/** Turns the events of one answer into chunks, and assembles tool calls that arrive in pieces. */
export class ChunkReader implements PieceReader<string> {
  readonly #said: Said;
  readonly #calls: ToolCalls;
  #reason: string | undefined;
  #usage: Usage | undefined;
  #model: string | undefined;
  /** Which choice is read: one was asked for, and some servers give more. */
  #index: number | undefined;
  #over = false;

  /** `limitChars` applies to all tool calls together. */
  constructor(limitChars: number, tags?: ReasoningTags) {
    this.#said = new Said(tags);
    this.#calls = new ToolCalls(limitChars);
  }

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
    if (!Array.isArray(choices)) return;
    const place = this.#placeOf(choices);
    if (place >= 0) this.#choice(choices[place], place, data, chunks);
  }

  /** Ends the answer if the server has given a finish reason. @throws PieceError, ModelError, IncompleteError */
  end(chunks: StreamChunk[]): void {
    if (this.#over || this.#reason === undefined) return;
    const reason = this.#said.end(this.#reason, this.#calls.any, chunks);
    this.#calls.end(chunks);
    this.#over = true;
    chunks.push({
      type: 'done',
      reason,
      ...(this.#usage && { usage: this.#usage }),
      ...(this.#model && { model: this.#model }),
    });
  }

  #placeOf(choices: readonly unknown[]): number {
    const indexIn = (choice: unknown) =>
      isJsonObject(choice) ? (indexOf(choice.index) ?? this.#index ?? 0) : Number.POSITIVE_INFINITY;
    const least = Math.min(...choices.map(indexIn));
    if (Number.isFinite(least)) this.#index ??= least;
    return choices.findIndex((choice) => indexIn(choice) === this.#index);
  }

  #choice(choice: Fields, place: number, data: string, chunks: StreamChunk[]): void {
    const { error, delta, message, text, usage, finish_reason: reason } = choice;
    if (error) throw modelError(faultOf(error));
    const { content: scores } = (choice.logprobs ?? {}) as Fields;
    const logprobs = scores ? logprobsIn(scores) : undefined;
    if (logprobs) chunks.push({ type: 'logprobs', logprobs });
    const said = delta ?? message;
    if (isJsonObject(said)) this.#delta(said, chunks);
    else if (text) this.#said.add('text', text, chunks);
    if (isJsonObject(delta)) this.#calls.read('delta', delta, data, place, chunks);
    if (isJsonObject(message)) this.#calls.read('message', message, data, place, chunks);
    if (usage) this.#usage = usageIn(usage) ?? this.#usage;
    if (typeof reason === 'string' && reason !== '') this.#reason = reason;
  }

  #delta(delta: Fields, chunks: StreamChunk[]): void {
    const { content, refusal } = delta;
    // Some servers send the same text under two names.
    const thinking = delta.reasoning_content || delta.reasoning || delta.thinking || delta.reasoning_details;
    if (thinking) this.#said.add('thinking', thinking, chunks);
    if (content !== undefined) this.#said.add('text', content, chunks);
    if (refusal) this.#said.add('refusal', refusal, chunks);
  }
}

/** Marker for the end of a stream. */
const done: Fields = {};

/** An event, `done`, or undefined for an empty event. @throws PieceError, ModelError */
function parse(data: string): Fields | undefined {
  // An exception of JSON.parse costs as much as a short answer.
  if (data === '[DONE]') return done;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    const text = data.trim();
    if (text === '') return undefined;
    if (/^\[?done\]?$/i.test(text)) return done;
    throw new PieceError('an event is not valid JSON', { cause });
  }
  if (isJsonObject(value)) return value;
  const fault = faultIn(value);
  if (fault) throw modelError(fault);
  throw new PieceError('an event is not a JSON object');
}
