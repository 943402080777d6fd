import type { ToolCall, ToolCallPiece } from '#kernel';
import type { ChunkFormat } from './chunk-format.js';

/** The tool calls of one streamed answer: each begins once, grows, and ends with what is left of it. */
export class GrowingCalls {
  readonly #format: ChunkFormat;
  /** By id: its place, and how many characters of its arguments were sent. */
  readonly #calls = new Map<string, { readonly index: number; sentChars: number; isWhole: boolean }>();
  #count = 0;

  constructor(format: ChunkFormat) {
    this.#format = format;
  }

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** A part; one that does not follow what was sent waits for the whole call. */
  piece({ id, name, arguments: text, from }: ToolCallPiece): string {
    const call = this.#calls.get(id);
    if (call?.isWhole || from !== (call?.sentChars ?? 0)) return '';
    if (!call) return this.#begin({ id, name, arguments: text }, false);
    call.sentChars += text.length;
    return this.#format.toolCallPart(call.index, text);
  }

  /** The whole of it, or what is left of that. */
  whole(toolCall: ToolCall): string {
    const call = this.#calls.get(toolCall.id);
    // Another one of that id has been told: agents come from anywhere.
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
