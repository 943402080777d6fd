import type { ChatMessage, ToolCall } from '#kernel';
import { contentOf, type Parts } from '#sdk/dialect';
import type { ChatBody } from './body.js';

type Message = ChatBody['messages'][number];
type Assistant = Extract<Message, { role: 'assistant' }>;

const read = new Set(
  ['role', 'content', 'name', 'tool_calls', 'tool_call_id', 'function_call', 'refusal'].concat(
    // The first two are read; the others belong to answers and are ignored in requests.
    ['reasoning_content', 'reasoning', 'annotations', 'audio'],
  ),
);

/** Messages in the format of agents. The tool name of a result, if absent, is found by the id of the call. */
export function messagesOf(messages: readonly Message[]): readonly ChatMessage[] {
  const names = new Map<string, string>();
  /** Ids of the latest deprecated `function_call`, which have none of their own, by name. */
  const former = new Map<string, string>();
  return messages.map((message, place) => {
    const toolCalls = message.role === 'assistant' ? callsOf(message, place) : [];
    for (const { id, name } of toolCalls) names.set(id, name);
    if (message.role === 'assistant' && message.function_call)
      former.set(message.function_call.name, `call_${place}`);
    return {
      ...plain(message),
      ...(toolCalls.length > 0 && { toolCalls }),
      ...resultOf(message, names, former),
    };
  });
}

function plain(message: Message): ChatMessage {
  const { role, content, name } = message;
  const { text, images, parts, thinking } = contentOf(content);
  const thought = role === 'assistant' ? (thoughtIn(message) ?? thinking) : thinking;
  const extra = extraOf(message);
  const isResult = role === 'tool' || role === 'function';
  return {
    role: isResult ? 'tool' : role === 'developer' ? 'system' : role,
    content: text || refusalIn(message),
    ...(images.length > 0 && { images }),
    ...(parts && { parts }),
    ...(thought && { thinking: thought }),
    ...(name && !isResult && { name }),
    ...(extra && { extra }),
  };
}

function callsOf(
  { tool_calls: calls, function_call: former }: Assistant,
  place: number,
): readonly ToolCall[] {
  const all = (calls ?? []).map(toolCallOf);
  return former
    ? [...all, { id: `call_${place}`, name: former.name, arguments: former.arguments || '{}' }]
    : all;
}

function toolCallOf(call: NonNullable<Assistant['tool_calls']>[number]): ToolCall {
  const { id, type: _, function: called, index: __, ...extra } = call;
  const args = called.arguments.trim() ? called.arguments : '{}';
  return { id, name: called.name, arguments: args, ...(Object.keys(extra).length > 0 && { extra }) };
}

function resultOf(
  message: Message,
  names: ReadonlyMap<string, string>,
  former: ReadonlyMap<string, string>,
): Pick<ChatMessage, 'toolCallId' | 'toolName'> {
  if (message.role !== 'tool' && message.role !== 'function') return {};
  const { name } = message;
  const toolCallId = message.tool_call_id || (name ? former.get(name) : undefined);
  const toolName = name || (toolCallId && names.get(toolCallId));
  return { ...(toolCallId && { toolCallId }), ...(toolName && { toolName }) };
}

function thoughtIn({ reasoning_content: named, reasoning }: Assistant): string | undefined {
  return named || (typeof reasoning === 'string' && reasoning) || undefined;
}

function refusalIn(message: Message): string {
  return message.role === 'assistant' ? (message.refusal ?? '') : '';
}

/** Fields of other vendors that have a value. */
function extraOf(message: Message): Parts['extra'] {
  const rest = Object.entries(message).filter(([key, value]) => !read.has(key) && value != null);
  return rest.length > 0 ? Object.fromEntries(rest) : undefined;
}
