import type { ClientErrorCode, ToolCall, WaggleError } from '#kernel';
import type { AnswerEnd, AnswerTexts } from '#sdk/dialect';
import { BlocksInOrder, type BlockWriter, type NewBlock } from './blocks-in-order.js';
import { errorObject } from './errors.js';
import {
  emptyMessage,
  type MessageHead,
  signature,
  stopReason,
  tokensOf,
  toolUse,
} from './message-object.js';

interface Event {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Sent while nothing else comes. */
export const ping = eventOf({ type: 'ping' });

const starts = {
  text: { type: 'text', text: '', citations: [] },
  thinking: { type: 'thinking', thinking: '', signature: '' },
};
/** Type and field of the parts of a block. */
const deltas = {
  text: '"text_delta","text":',
  thinking: '"thinking_delta","thinking":',
  call: '"input_json_delta","partial_json":',
};

/** A message as Server-Sent Events. */
export class MessageEvents implements AnswerTexts, BlockWriter {
  readonly #head: MessageHead;
  readonly #blocks = new BlocksInOrder(this);
  #text = '';
  #index = -1;
  /** Serialized once for each block, as there are many parts. */
  #before = '';

  constructor(head: MessageHead) {
    this.#head = head;
  }

  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  begin(agent: string): void {
    this.#write({ type: 'message_start', message: emptyMessage(agent, this.#head) });
  }

  text(content: string): void {
    if (content !== '') this.#blocks.say('text', content);
  }

  thinking(content: string): void {
    if (content !== '' && this.#head.display !== 'none') this.#blocks.say('thinking', content);
  }

  call(index: number, call: ToolCall): void {
    this.#blocks.call(index, call);
  }

  callPart(index: number, text: string): void {
    this.#blocks.callPart(index, text);
  }

  callEnd(index: number): void {
    this.#blocks.callEnd(index);
  }

  end({ reason, usage }: AnswerEnd): void {
    this.#blocks.end();
    const delta = {
      stop_reason: stopReason(reason),
      stop_sequence: null,
      stop_details: null,
      container: null,
    };
    this.#write({ type: 'message_delta', delta, usage: tokensOf(usage) });
    this.#write({ type: 'message_stop' });
  }

  fail(failure: WaggleError<ClientErrorCode>): void {
    this.#text += `event: error\ndata: ${JSON.stringify(errorObject(failure, this.#head.requestId))}\n\n`;
  }

  start(block: NewBlock): void {
    const index = ++this.#index;
    const content_block = block.type === 'call' ? toolUse(block.call, {}) : starts[block.type];
    this.#write({ type: 'content_block_start', index, content_block });
    this.#before =
      `event: content_block_delta\ndata: {"type":"content_block_delta","index":${index},` +
      `"delta":{"type":${deltas[block.type]}`;
  }

  part(type: NewBlock['type'], text: string): void {
    if (type === 'thinking' && this.#head.display === 'omitted') return;
    this.#text += `${this.#before}${JSON.stringify(text)}}}\n\n`;
  }

  stop(type: NewBlock['type']): void {
    const index = this.#index;
    if (type === 'thinking')
      this.#write({ type: 'content_block_delta', index, delta: { type: 'signature_delta', signature } });
    this.#write({ type: 'content_block_stop', index });
  }

  #write(event: Event): void {
    this.#text += eventOf(event);
  }
}

function eventOf(event: Event): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
