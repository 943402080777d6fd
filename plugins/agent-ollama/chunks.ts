import { ModelError, PieceError, type PieceReader, type StreamChunk } from '#kernel';
import { ToolCalls } from './tool-calls.js';

/** The fields of a line of `/api/chat` that matter here (github.com/ollama/ollama/blob/main/docs/api.md). */
interface ChatLine {
  readonly message?: {
    readonly content?: unknown;
    readonly thinking?: unknown;
    readonly tool_calls?: unknown;
  };
  readonly model?: unknown;
  readonly done?: unknown;
  readonly done_reason?: unknown;
  readonly error?: unknown;
  readonly prompt_eval_count?: unknown;
  readonly eval_count?: unknown;
}

/** Turns the lines of one answer into chunks. A line may carry thinking, text, tool calls and the end at once. */
export class ChunkReader implements PieceReader<ChatLine> {
  readonly #calls = new ToolCalls();
  #over = false;

  /** Whether `done` was given. */
  get over(): boolean {
    return this.#over;
  }

  /** Adds the chunks of `line` to `chunks`. @throws PieceError, ModelError */
  read(line: ChatLine, chunks: StreamChunk[]): void {
    if (line.error !== undefined)
      throw new ModelError(typeof line.error === 'string' ? line.error : 'it gave no reason');
    const { content = '', thinking = '', tool_calls: calls = [] } = line.message ?? {};
    if (typeof content !== 'string' || typeof thinking !== 'string' || !Array.isArray(calls))
      throw new PieceError('a field of a line has the wrong type');
    if (thinking !== '') chunks.push({ type: 'thinking', content: thinking });
    if (content !== '') chunks.push({ type: 'text', content });
    if (calls.length > 0) this.#calls.read(calls, chunks);
    if (line.done !== true) return;
    const reason = typeof line.done_reason === 'string' ? line.done_reason : 'stop';
    chunks.push({
      type: 'done',
      reason: reason === 'stop' && this.#calls.any ? 'tool_calls' : reason,
      usage: { inputTokens: count(line.prompt_eval_count), outputTokens: count(line.eval_count) },
      ...(typeof line.model === 'string' && { model: line.model }),
    });
    this.#over = true;
  }
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
