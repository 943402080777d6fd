import type { ClientErrorCode, Logprob, ToolCall, Usage, WaggleError } from '#kernel';
import {
  type Answer,
  type AnswerEnd,
  type AnswerTexts,
  answerId,
  callsOf,
  fullLogprobs,
  openAiErrorObject,
  textOf,
} from '#sdk/dialect';
import type { Config } from './config.js';

/** The part of an answer that is known before it. */
export interface AnswerHead {
  readonly streamId: string;
  /** Unix seconds. */
  readonly createdAt: number;
  /** Whether the client asked for the usage in a stream. */
  readonly includeUsage: boolean;
  modelOf(agent: string): string;
}

/** Fields common to all chunks of an answer. */
interface Fields {
  readonly id: string;
  readonly object: string;
  readonly created: number;
  readonly model: string;
}

type Delta = Readonly<Record<string, unknown>>;

/** Server-Sent Events with one chunk each. */
abstract class Chunks implements AnswerTexts {
  readonly #head: AnswerHead;
  #text = '';
  protected fields: Fields;

  constructor(prefix: string, object: string, head: AnswerHead) {
    this.#head = head;
    this.fields = fieldsOf(prefix, object, head);
  }

  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  begin(agent: string): void {
    this.fields = { ...this.fields, model: this.#head.modelOf(agent) };
  }

  abstract text(content: string): void;
  abstract thinking(content: string): void;
  abstract call(index: number, call: ToolCall): void;
  abstract callPart(index: number, text: string, extra?: ToolCall['extra']): void;

  callEnd(): void {}

  end({ reason, usage }: AnswerEnd): void {
    this.finish(finishReason(reason));
    // An unknown usage is left out, which is not the same as 0.
    if (this.#head.includeUsage && usage) this.write({ ...this.fields, choices: [], ...usageOf(usage) });
    this.writeText('data: [DONE]\n\n');
  }

  fail(failure: WaggleError<ClientErrorCode>): void {
    this.write(openAiErrorObject(failure));
  }

  protected abstract finish(reason: string): void;

  protected write(value: object): void {
    this.writeText(`data: ${JSON.stringify(value)}\n\n`);
  }

  protected writeText(text: string): void {
    this.#text += text;
  }
}

/** `chat.completion.chunk` */
export class ChatChunks extends Chunks {
  readonly #field: Config['reasoningField'];
  /** Those of the next chunk. */
  #logprobs: readonly Logprob[] | undefined;
  /** Serialized once, as there are many chunks of text. */
  #before = '';
  readonly #after = '},"finish_reason":null}]}\n\n';

  constructor(head: AnswerHead, field: Config['reasoningField']) {
    super('chatcmpl', 'chat.completion.chunk', head);
    this.#field = field;
  }

  override begin(agent: string): void {
    super.begin(agent);
    this.#before = `data: ${JSON.stringify(this.fields).slice(0, -1)},"choices":[{"index":0,"delta":{`;
    this.#delta({ role: 'assistant', content: '' });
  }

  text(content: string): void {
    if (this.#logprobs) this.#delta({ content });
    else this.writeText(`${this.#before}"content":${JSON.stringify(content)}${this.#after}`);
  }

  logprobs(logprobs: readonly Logprob[]): void {
    this.#logprobs = [...(this.#logprobs ?? []), ...logprobs];
  }

  thinking(content: string): void {
    this.writeText(`${this.#before}"${this.#field}":${JSON.stringify(content)}${this.#after}`);
  }

  call(index: number, call: ToolCall): void {
    this.#delta({ tool_calls: [{ index, ...toolCall(call) }] });
  }

  callPart(index: number, text: string, extra?: ToolCall['extra']): void {
    this.#delta({ tool_calls: [{ ...extra, index, function: { arguments: text } }] });
  }

  protected finish(reason: string): void {
    this.#delta({}, reason);
  }

  #delta(delta: Delta, finish_reason: string | null = null): void {
    const logprobs = this.#logprobs && { logprobs: logprobsObject(this.#logprobs) };
    this.#logprobs = undefined;
    this.write({ ...this.fields, choices: [{ index: 0, delta, ...logprobs, finish_reason }] });
  }
}

/** `text_completion` in chunks; thinking and tool calls have no place in it. */
export class TextChunks extends Chunks {
  constructor(head: AnswerHead) {
    super('cmpl', 'text_completion', head);
  }

  text(content: string): void {
    this.#piece(content);
  }

  thinking(): void {}

  call(): void {}

  callPart(): void {}

  protected finish(reason: string): void {
    this.#piece('', reason);
  }

  #piece(text: string, reason: string | null = null): void {
    this.write({ ...this.fields, choices: [textChoice(text, reason)] });
  }
}

/** A whole `chat.completion`. */
export function wholeChat(answer: Answer, head: AnswerHead, field: Config['reasoningField']): object {
  const [text, thinking, calls] = [textOf(answer, 'text'), textOf(answer, 'thinking'), callsOf(answer)];
  const message = {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    annotations: [],
    ...(thinking !== '' && { [field]: thinking }),
    ...(calls.length > 0 && { tool_calls: calls.map(toolCall) }),
  };
  return {
    ...fieldsOf('chatcmpl', 'chat.completion', head, answer.agent),
    choices: [
      {
        index: 0,
        message,
        logprobs: answer.logprobs.length > 0 ? logprobsObject(answer.logprobs) : null,
        finish_reason: finishReason(answer.reason),
      },
    ],
    ...usageOf(answer.usage),
  };
}

/** A whole `text_completion`. */
export function wholeText(answer: Answer, head: AnswerHead): object {
  return {
    ...fieldsOf('cmpl', 'text_completion', head, answer.agent),
    choices: [textChoice(textOf(answer, 'text'), finishReason(answer.reason))],
    ...usageOf(answer.usage),
  };
}

function fieldsOf(
  prefix: string,
  object: string,
  { streamId, createdAt, modelOf }: AnswerHead,
  agent = '',
): Fields {
  const id = answerId(`${prefix}-`, streamId);
  return { id, object, created: createdAt, model: modelOf(agent) };
}

function textChoice(text: string, finish_reason: string | null): object {
  return { index: 0, text, logprobs: null, finish_reason };
}

/** Each token with all fields that the API requires. */
function logprobsObject(logprobs: readonly Logprob[]): object {
  return { content: fullLogprobs(logprobs), refusal: null };
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
