import type { ToolCall, Usage } from '#kernel';
import { isJsonObject, parseJson } from '#sdk';
import { type Answer, type AnswerItem, answerId, joinItems } from '#sdk/dialect';
import type { Display } from './thinking.js';

/** The part of an answer that is known before it. */
export interface MessageHead {
  readonly streamId: string;
  readonly requestId: string;
  readonly display: Display;
  modelOf(agent: string): string;
}

/** Clients send thinking back only with a signature. Nothing is signed here, and none is checked. */
export const signature = 'd2FnZ2xl';

/** Depth limit of a tool's input. */
const inputDepth = 100;

/** A whole `message`. */
export function messageObject(answer: Answer, head: MessageHead): object {
  const items =
    head.display === 'none' ? answer.items.filter(({ type }) => type !== 'thinking') : answer.items;
  return {
    ...emptyMessage(answer.agent, head),
    content: joinItems(items).flatMap((item) => blockOf(item, head.display)),
    stop_reason: stopReason(answer.reason),
    usage: usageObject(answer.usage),
  };
}

/** A message with no content yet. */
export function emptyMessage(agent: string, { streamId, modelOf }: MessageHead): object {
  return {
    id: answerId('msg_', streamId),
    type: 'message',
    role: 'assistant',
    model: modelOf(agent),
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    container: null,
    usage: usageObject(undefined),
  };
}

export function toolUse({ id, name, extra }: ToolCall, input: unknown): object {
  return { ...extra, type: 'tool_use', id, name, input, caller: { type: 'direct' } };
}

/** Model servers do not say that a stop sequence has ended an answer: then it is `end_turn`. */
export function stopReason(reason: string): string {
  if (reason === 'length') return 'max_tokens';
  if (reason === 'tool_calls') return 'tool_use';
  if (reason === 'content_filter') return 'refusal';
  return /^(stop_sequence|refusal|pause_turn)$/.test(reason) ? reason : 'end_turn';
}

/** Zeros if the agent reports none: the fields are required. */
function usageObject(usage: Usage | undefined): object {
  return { ...tokensOf(usage), cache_creation: null, inference_geo: null, service_tier: null };
}

/** The same in the last event of a stream. */
export function tokensOf({
  inputTokens,
  outputTokens,
  cachedTokens = 0,
  reasoningTokens,
}: Usage = none): object {
  return {
    // Those from the cache do not count here.
    input_tokens: Math.max(0, inputTokens - cachedTokens),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: outputTokens,
    output_tokens_details: reasoningTokens === undefined ? null : { thinking_tokens: reasoningTokens },
    server_tool_use: null,
  };
}

const none: Usage = { inputTokens: 0, outputTokens: 0 };

function blockOf(item: AnswerItem, display: Display): readonly object[] {
  if (item.type === 'call') return [toolUse(item.call, inputOf(item.call.arguments))];
  const { type, content } = item;
  if (content === '') return [];
  if (type === 'text') return [{ type, text: content, citations: [] }];
  return [{ type, thinking: display === 'omitted' ? '' : content, signature }];
}

/** Arguments as an object, which the format requires; anything else a model may write in the form of Anthropic's manual. */
function inputOf(text: string): object {
  if (text.trim() === '') return {};
  try {
    const input = parseJson(text, inputDepth);
    if (isJsonObject(input)) return input;
  } catch {
    // Sent as text.
  }
  return { INVALID_JSON: text };
}
