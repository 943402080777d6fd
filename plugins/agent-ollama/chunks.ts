import { randomBytes } from 'node:crypto';
import {
  type ContentKind,
  faultIn,
  finishReason,
  IncompleteError,
  ModelError,
  modelError,
  oneLine,
  PieceError,
  type PieceReader,
  type ReasoningTags,
  readParts,
  type StreamChunk,
} from '#kernel';

/** The fields of a line of `/api/chat` that matter here (github.com/ollama/ollama/blob/main/docs/api.md). */
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
  readonly prompt_eval_count?: unknown;
  readonly eval_count?: unknown;
}

/** Turns the lines of one answer into chunks. A line may carry thinking, text, tool calls and the end at once. */
export class ChunkReader implements PieceReader<ChatLine> {
  readonly #tags: ReasoningTags | undefined;
  #toolCalls = 0;
  #hasSaid = false;
  #over = false;

  constructor(tags?: ReasoningTags) {
    this.#tags = tags;
  }

  /** Whether `done` was given. */
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
      if (message.thinking) this.#say('thinking', message.thinking, chunks);
      if (message.content !== undefined) this.#say('text', message.content, chunks);
      for (const call of calls) chunks.push(this.#toolCall(call));
    }
    if (line.done === true) this.#end(line, chunks);
  }

  #end(line: ChatLine, chunks: StreamChunk[]): void {
    // Old versions give no reason.
    const word = typeof line.done_reason === 'string' ? line.done_reason : 'stop';
    const reason = finishReason(word);
    if (!reason) throw new IncompleteError(`its answer ended with "${oneLine(word)}"`);
    if (this.#tags) {
      const before = chunks.length;
      this.#tags.end(chunks);
      this.#hasSaid ||= chunks.length > before;
    }
    if (!this.#hasSaid && this.#toolCalls === 0) throw new ModelError(`its answer is empty (${reason})`);
    const { prompt_eval_count: input, eval_count: output } = line;
    chunks.push({
      type: 'done',
      reason: reason === 'stop' && this.#toolCalls > 0 ? 'tool_calls' : reason,
      // It leaves out what is 0.
      ...((isCount(input) || isCount(output)) && {
        usage: { inputTokens: isCount(input) ? input : 0, outputTokens: isCount(output) ? output : 0 },
      }),
      ...(typeof line.model === 'string' && { model: line.model }),
    });
    this.#over = true;
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
    chunks.push({ type: kind === 'thinking' ? kind : 'text', content });
  }

  #toolCall(call: unknown): StreamChunk {
    const { id, function: called } = (call ?? {}) as {
      readonly id?: unknown;
      readonly function?: { readonly name?: unknown; readonly arguments?: unknown };
    };
    if (typeof called?.name !== 'string') throw new PieceError('a tool call has no name');
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

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
