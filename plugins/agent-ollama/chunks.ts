import type { StreamChunk } from '#kernel';
import {
  faultIn,
  logprobsIn,
  modelError,
  PieceError,
  type PieceReader,
  type ReasoningTags,
  Said,
} from '#sdk/upstream';
import { ToolCalls } from './tool-calls.js';

/** Relevant fields of a line of `/api/chat` (github.com/ollama/ollama/blob/main/docs/api.md). */
interface ChatLine {
  readonly message?: {
    readonly content?: unknown;
    readonly thinking?: unknown;
    readonly tool_calls?: unknown;
  } | null;
  readonly model?: unknown;
  readonly done?: unknown;
  readonly done_reason?: unknown;
  readonly error?: unknown;
  readonly logprobs?: unknown;
  readonly prompt_eval_count?: unknown;
  readonly eval_count?: unknown;
}

/** Turns the lines of one answer into chunks. A line may carry thinking, text, tool calls and the end at once. */
export class ChunkReader implements PieceReader<ChatLine> {
  readonly #said: Said;
  readonly #calls = new ToolCalls();
  /** Lines with thinking. */
  #thoughts = 0;
  #over = false;

  constructor(tags?: ReasoningTags) {
    this.#said = new Said(tags);
  }

  get over(): boolean {
    return this.#over;
  }

  /** Adds the chunks of `line` to `chunks`. @throws PieceError, ModelError, IncompleteError */
  read(line: ChatLine, chunks: StreamChunk[]): void {
    const { message } = line;
    if (line.error || typeof message !== 'object') {
      const fault = faultIn(line);
      if (fault) throw modelError(fault);
    }
    if (message) {
      const calls = message.tool_calls ?? [];
      if (!Array.isArray(calls)) throw new PieceError('a field of a line has the wrong type');
      if (message.thinking) {
        this.#thoughts++;
        this.#said.add('thinking', message.thinking, chunks);
      }
      const logprobs = line.logprobs && !message.thinking ? logprobsIn(line.logprobs) : undefined;
      if (logprobs) chunks.push({ type: 'logprobs', logprobs });
      if (message.content !== undefined) this.#said.add('text', message.content, chunks);
      if (calls.length > 0) this.#calls.read(calls, chunks);
    }
    if (line.done === true) this.#end(line, chunks);
  }

  #end({ done_reason: word, model, ...line }: ChatLine, chunks: StreamChunk[]): void {
    // Old versions have no reason.
    const reason = this.#said.end(typeof word === 'string' ? word : 'stop', this.#calls.any, chunks);
    const [input, output] = [count(line.prompt_eval_count), count(line.eval_count)];
    const isKnown = input !== undefined || output !== undefined;
    // A line is a token, so that this counts those of thinking; the server itself does not.
    const reasoningTokens = Math.min(this.#thoughts, output ?? 0);
    chunks.push({
      type: 'done',
      reason,
      // Ollama omits counts of 0.
      ...(isKnown && {
        usage: {
          inputTokens: input ?? 0,
          outputTokens: output ?? 0,
          ...(reasoningTokens > 0 && { reasoningTokens }),
        },
      }),
      ...(typeof model === 'string' && { model }),
    });
    this.#over = true;
  }
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
