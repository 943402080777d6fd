import type { FinishReason, StreamChunk } from '../../contracts/agent.js';
import { finishReason } from './finish-reason.js';
import { oneLine } from './one-line.js';
import { type ContentKind, readParts } from './parts.js';
import { IncompleteError, ModelError } from './pieces.js';
import type { ReasoningTags } from './reasoning-tags.js';

/** Converts the content of one answer to chunks and checks its end, for every API. */
export class Said {
  readonly #tags: ReasoningTags | undefined;
  #isEmpty = true;
  #hasRefused = false;

  constructor(tags?: ReasoningTags) {
    this.#tags = tags;
  }

  /** Adds content, a text or parts, to `chunks`. @throws PieceError */
  add(kind: ContentKind, content: unknown, chunks: StreamChunk[]): void {
    if (typeof content === 'string') this.#emit(kind, content, chunks);
    else readParts(content, kind, (own, text) => this.#emit(own, text, chunks));
  }

  /**
   * Adds the rest and returns the reason for the end, which the server calls `word`. An answer with tool calls needs no text.
   * @throws IncompleteError for an irregular end, ModelError for an empty answer
   */
  end(word: string, hasCalls: boolean, chunks: StreamChunk[]): FinishReason {
    const reason = finishReason(word);
    if (!reason) throw new IncompleteError(`its answer ended with "${oneLine(word)}"`);
    const before = chunks.length;
    this.#tags?.end(chunks);
    if (this.#isEmpty && chunks.length === before && !hasCalls)
      throw new ModelError(`its answer is empty (${reason})`);
    if (reason !== 'stop') return reason;
    if (hasCalls) return 'tool_calls';
    return this.#hasRefused ? 'refusal' : reason;
  }

  #emit(kind: ContentKind, content: string, chunks: StreamChunk[]): void {
    if (content === '') return;
    if (kind === 'text' && this.#tags) {
      const before = chunks.length;
      this.#tags.push(content, chunks);
      if (chunks.length > before) this.#isEmpty = false;
      return;
    }
    this.#isEmpty = false;
    if (kind === 'refusal') this.#hasRefused = true;
    chunks.push({ type: kind === 'thinking' ? kind : 'text', content });
  }
}
