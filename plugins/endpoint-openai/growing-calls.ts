import type { ToolCall, ToolCallPiece } from '#kernel';
import type { ChunkFormat } from './chunk-format.js';

/** The tool calls of a streamed answer: each starts once, grows, and ends with the rest of its arguments. */
export class GrowingCalls {
  readonly #format: ChunkFormat;
  /** By id: index, and characters of the arguments sent. */
  readonly #calls = new Map<string, { readonly index: number; sentChars: number; isWhole: boolean }>();
  #count = 0;

  constructor(format: ChunkFormat) {
    this.#format = format;
  }

  /** Number of calls so far. */
  get count(): number {
    return this.#count;
  }

  /** A part of a call; one that does not continue the text sent so far is left to the whole call. */
  piece({ id, name, arguments: text, from }: ToolCallPiece): string {
    const call = this.#calls.get(id);
    if (call?.isWhole || from !== (call?.sentChars ?? 0)) return '';
    if (!call) return this.#begin({ id, name, arguments: text }, false);
    call.sentChars += text.length;
    return this.#format.toolCallPart(call.index, text);
  }

  /** The whole call, or the rest of it. */
  whole(toolCall: ToolCall): string {
    const call = this.#calls.get(toolCall.id);
    // Third-party agents may repeat an id.
    if (!call || call.isWhole) return this.#begin(toolCall, true);
    call.isWhole = true;
    const rest = toolCall.arguments.slice(call.sentChars);
    return rest === '' && !toolCall.extra ? '' : this.#format.toolCallPart(call.index, rest, toolCall.extra);
  }

  #begin(toolCall: ToolCall, isWhole: boolean): string {
    const index = this.#count++;
    this.#calls.set(toolCall.id, { index, sentChars: toolCall.arguments.length, isWhole });
    return this.#format.toolCall(index, toolCall);
  }
}
