import type { ToolCall, ToolCallPiece } from '../../contracts/agent.js';
import type { AnswerEvents } from './answer-events.js';

interface Growing {
  readonly index: number;
  sentChars: number;
  isWhole: boolean;
}

/** The tool calls of an answer as events: each begins once, grows, and ends with the rest of its arguments. */
export class GrowingCalls {
  readonly #events: AnswerEvents;
  readonly #calls = new Map<string, Growing>();
  #count = 0;

  constructor(events: AnswerEvents) {
    this.#events = events;
  }

  /** Number of calls so far. */
  get count(): number {
    return this.#count;
  }

  /** A part of a call; one that does not continue the text so far is left to the whole call. */
  piece({ id, name, arguments: text, from }: ToolCallPiece): void {
    const call = this.#calls.get(id);
    if (call?.isWhole || from !== (call?.sentChars ?? 0)) return;
    if (!call) {
      this.#begin({ id, name, arguments: text }, false);
      return;
    }
    call.sentChars += text.length;
    this.#events.callPart(call.index, text);
  }

  /** The whole call, or the rest of it. */
  whole(toolCall: ToolCall): void {
    let call = this.#calls.get(toolCall.id);
    // Third-party agents may repeat an id.
    if (!call || call.isWhole) call = this.#begin(toolCall, true);
    else {
      call.isWhole = true;
      const rest = toolCall.arguments.slice(call.sentChars);
      if (rest !== '' || toolCall.extra) this.#events.callPart(call.index, rest, toolCall.extra);
    }
    this.#events.callEnd(call.index, toolCall);
  }

  #begin(toolCall: ToolCall, isWhole: boolean): Growing {
    const call = { index: this.#count++, sentChars: toolCall.arguments.length, isWhole };
    this.#calls.set(toolCall.id, call);
    this.#events.call(call.index, toolCall);
    return call;
  }
}
