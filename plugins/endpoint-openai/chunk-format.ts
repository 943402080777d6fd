import { createHash } from 'node:crypto';
import type { ToolCall, Usage } from '#kernel';
import type { Config } from './config.js';

export interface Answer {
  readonly text: string;
  readonly thinking: string;
  readonly toolCalls: readonly ToolCall[];
  readonly reason: string;
  readonly agent: string;
  readonly usage: Usage | undefined;
}

/** Format of one answer. Each method returns complete events, or ''. */
export interface ChunkFormat {
  /** The first event. */
  start(): string;
  text(content: string): string;
  thinking(content: string): string;
  /** `index` is the number of the call within the answer. */
  toolCall(index: number, call: ToolCall): string;
  /** The next part of the arguments of the call at `index`. */
  toolCallPart(index: number, text: string, extra?: ToolCall['extra']): string;
  finish(reason: string): string;
  /** Empty if the usage is unknown, which is not the same as 0. */
  usage(usage: Usage | undefined): string;
  whole(answer: Answer): object;
}

/** Fields common to all chunks of an answer. */
interface Head {
  readonly id: string;
  readonly object: string;
  readonly created: number;
  readonly model: string;
}

type Delta = Readonly<Record<string, unknown>>;

/** `chat.completion` and its chunks. */
export class ChatChunkFormat implements ChunkFormat {
  readonly #head: Head;
  readonly #field: Config['reasoningField'];
  /** Serialized once, as there are many chunks of text. */
  readonly #before: string;
  readonly #after = '},"finish_reason":null}]}\n\n';

  constructor(streamId: string, model: string, field: Config['reasoningField']) {
    this.#head = headOf('chatcmpl', 'chat.completion.chunk', streamId, model);
    this.#field = field;
    this.#before = `data: ${JSON.stringify(this.#head).slice(0, -1)},"choices":[{"index":0,"delta":{`;
  }

  start(): string {
    return this.#event({ role: 'assistant', content: '' }, null);
  }

  text(content: string): string {
    return `${this.#before}"content":${JSON.stringify(content)}${this.#after}`;
  }

  thinking(content: string): string {
    return `${this.#before}"${this.#field}":${JSON.stringify(content)}${this.#after}`;
  }

  toolCall(index: number, call: ToolCall): string {
    return this.#event({ tool_calls: [{ index, ...toolCall(call) }] }, null);
  }

  toolCallPart(index: number, text: string, extra?: ToolCall['extra']): string {
    return this.#event({ tool_calls: [{ ...extra, index, function: { arguments: text } }] }, null);
  }

  finish(reason: string): string {
    return this.#event({}, finishReason(reason));
  }

  usage(usage: Usage | undefined): string {
    return usage ? event({ ...this.#head, choices: [], ...usageOf(usage) }) : '';
  }

  whole({ text, thinking, toolCalls, reason, usage }: Answer): object {
    const message = {
      role: 'assistant',
      content: text === '' && toolCalls.length > 0 ? null : text,
      ...(thinking !== '' && { [this.#field]: thinking }),
      ...(toolCalls.length > 0 && { tool_calls: toolCalls.map(toolCall) }),
    };
    return {
      ...this.#head,
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: finishReason(reason) }],
      ...usageOf(usage),
    };
  }

  #event(delta: Delta, finish_reason: string | null): string {
    return event({ ...this.#head, choices: [{ index: 0, delta, finish_reason }] });
  }
}

/** `text_completion`, whole or in chunks; thinking and tool calls have no place in it. */
export class TextChunkFormat implements ChunkFormat {
  readonly #head: Head;

  constructor(streamId: string, model: string) {
    this.#head = headOf('cmpl', 'text_completion', streamId, model);
  }

  start(): string {
    return '';
  }

  text(content: string): string {
    return event(this.#piece(content, null));
  }

  thinking(): string {
    return '';
  }

  toolCall(): string {
    return '';
  }

  toolCallPart(): string {
    return '';
  }

  finish(reason: string): string {
    return event(this.#piece('', finishReason(reason)));
  }

  usage(usage: Usage | undefined): string {
    return usage ? event({ ...this.#head, choices: [], ...usageOf(usage) }) : '';
  }

  whole({ text, reason, usage }: Answer): object {
    return { ...this.#piece(text, finishReason(reason)), ...usageOf(usage) };
  }

  #piece(text: string, finish_reason: string | null): object {
    return { ...this.#head, choices: [{ index: 0, text, logprobs: null, finish_reason }] };
  }
}

export const doneEvent = 'data: [DONE]\n\n';

function event(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

function headOf(prefix: string, object: string, streamId: string, model: string): Head {
  // The same for all readers of the stream, without revealing its id.
  const id = `${prefix}-${createHash('sha256').update(streamId).digest('base64url').slice(0, 24)}`;
  return { id, object, created: Math.floor(Date.now() / 1000), model };
}

function toolCall({ id, name, arguments: args, extra }: ToolCall): object {
  return { ...extra, id, type: 'function', function: { name, arguments: args } };
}

/** One of the four reasons that clients know; any other is `stop`. */
function finishReason(reason: string): string {
  if (reason === 'refusal') return 'content_filter';
  return /^(length|tool_calls|content_filter)$/.test(reason) ? reason : 'stop';
}

function usageOf(usage: Usage | undefined): { readonly usage?: object } {
  if (!usage) return {};
  const { inputTokens, outputTokens, cachedTokens, reasoningTokens } = usage;
  return {
    usage: {
      prompt_tokens: inputTokens,
      completion_tokens: outputTokens,
      total_tokens: inputTokens + outputTokens,
      ...(cachedTokens !== undefined && { prompt_tokens_details: { cached_tokens: cachedTokens } }),
      ...(reasoningTokens !== undefined && {
        completion_tokens_details: { reasoning_tokens: reasoningTokens },
      }),
    },
  };
}
