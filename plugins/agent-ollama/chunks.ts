import { randomBytes } from 'node:crypto';
import type { StreamChunk } from '#kernel';
import { LineError } from './ndjson.js';

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

/** What the model itself reported as an error, in the middle of its answer. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

/** Turns the lines of one answer into chunks. A line may carry thinking, text, tool calls and the end at once. */
export class ChunkReader {
  #toolCalls = 0;

  /** Adds the chunks of `line` to `chunks`; true when it was the last line. @throws LineError, ModelError */
  read(line: ChatLine, chunks: StreamChunk[]): boolean {
    if (line.error !== undefined)
      throw new ModelError(typeof line.error === 'string' ? line.error : 'it gave no reason');
    const { content = '', thinking = '', tool_calls: calls = [] } = line.message ?? {};
    if (typeof content !== 'string' || typeof thinking !== 'string' || !Array.isArray(calls))
      throw new LineError('a field of a line has the wrong type');
    if (thinking !== '') chunks.push({ type: 'thinking', content: thinking });
    if (content !== '') chunks.push({ type: 'text', content });
    for (const call of calls) chunks.push(this.#toolCall(call));
    if (line.done !== true) return false;
    const reason = typeof line.done_reason === 'string' ? line.done_reason : 'stop';
    chunks.push({
      type: 'done',
      reason: reason === 'stop' && this.#toolCalls > 0 ? 'tool_calls' : reason,
      usage: { inputTokens: count(line.prompt_eval_count), outputTokens: count(line.eval_count) },
      ...(typeof line.model === 'string' && { model: line.model }),
    });
    return true;
  }

  #toolCall(call: unknown): StreamChunk {
    const { id, function: called } = (call ?? {}) as {
      readonly id?: unknown;
      readonly function?: { readonly name?: unknown; readonly arguments?: unknown };
    };
    if (typeof called?.name !== 'string') throw new LineError('a tool call has no name');
    this.#toolCalls++;
    return {
      type: 'tool_call',
      // Some runners give none.
      id: typeof id === 'string' && id !== '' ? id : `call_${randomBytes(6).toString('hex')}`,
      name: called.name,
      arguments: called.arguments ?? {},
    };
  }
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
