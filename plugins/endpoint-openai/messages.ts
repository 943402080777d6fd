import type { ChatMessage, ToolCall } from '#kernel';
import type { ChatBody } from './body.js';

type Message = ChatBody['messages'][number];

/** Messages as agents read them. The name of a tool, where its result does not say it, is found by the call's id. */
export function messagesOf(messages: readonly Message[]): readonly ChatMessage[] {
  const names = new Map<string, string>();
  return messages.map((message) => {
    const toolCalls = (message.tool_calls ?? []).map(toolCallOf);
    for (const { id, name } of toolCalls) names.set(id, name);
    const { text, images } = contentOf(message);
    const toolCallId = message.tool_call_id ?? undefined;
    const toolName =
      message.role === 'tool' ? (message.name ?? (toolCallId && names.get(toolCallId))) : undefined;
    return {
      role: message.role === 'developer' ? 'system' : message.role,
      content: text,
      ...(images.length > 0 && { images }),
      ...(toolCalls.length > 0 && { toolCalls }),
      ...(toolCallId && { toolCallId }),
      ...(toolName && { toolName }),
    };
  });
}

function contentOf({ content }: Message): { readonly text: string; readonly images: readonly string[] } {
  if (typeof content === 'string') return { text: content, images: [] };
  const parts = content ?? [];
  return {
    text: parts.flatMap((part) => (part.type === 'text' ? part.text : [])).join('\n'),
    images: parts.flatMap((part) => (part.type === 'image_url' ? part.image_url.url : [])),
  };
}

function toolCallOf(call: NonNullable<Message['tool_calls']>[number]): ToolCall {
  const { id, type: _, function: called, index: __, ...extra } = call;
  const hasExtra = Object.keys(extra).length > 0;
  return {
    id,
    name: called.name,
    arguments: called.arguments.trim() ? called.arguments : '{}',
    ...(hasExtra && { extra }),
  };
}
