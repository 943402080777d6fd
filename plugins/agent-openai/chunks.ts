import { ModelError, PieceError, type PieceReader, type StreamChunk, type Usage } from '#kernel';
import { ToolCalls } from './tool-calls.js';

type Fields = Readonly<Record<string, unknown>>;

/** Turns the events of one answer into chunks. Tool calls come in pieces and leave whole. */
export class ChunkReader implements PieceReader<string> {
  readonly #calls: ToolCalls;
  #reason: string | undefined;
  #usage: Usage | undefined;
  #model: string | undefined;
  #over = false;

  /** All tool calls together may have `limitChars`. */
  constructor(limitChars: number) {
    this.#calls = new ToolCalls(limitChars);
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
    const said = choice.delta ?? choice.message;
    if (isFields(said)) this.#delta(said, chunks);
    if (isFields(choice.delta)) this.#calls.read('delta', choice.delta, data, chunks);
    if (isFields(choice.message)) this.#calls.read('message', choice.message, data, chunks);
    if (typeof choice.finish_reason === 'string') this.#reason = choice.finish_reason;
  }

  /** Nothing more will come: ends the answer if the server has said why. */
  end(chunks: StreamChunk[]): void {
    if (this.#over || this.#reason === undefined) return;
    this.#calls.end(chunks);
    this.#over = true;
    const reason = this.#reason === 'stop' && this.#calls.any ? 'tool_calls' : this.#reason;
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
    if (typeof content !== 'string' || typeof thinking !== 'string')
      throw new PieceError('a field of an event has the wrong type');
    if (thinking !== '') chunks.push({ type: 'thinking', content: thinking });
    if (content !== '') chunks.push({ type: 'text', content });
  }
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

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
