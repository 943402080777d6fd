import type { ChatMessage, ContentPart, ToolCall } from '#kernel';

/** A message in OpenAI's format, with the additional fields of its client. */
export function messageFor(message: ChatMessage): object {
  const { role, name, toolCalls, toolCallId, thinking, extra } = message;
  return {
    ...extra,
    role,
    content: contentFor(message),
    ...(name && { name }),
    ...(thinking && { reasoning_content: thinking }),
    ...(toolCalls && { tool_calls: toolCalls.map(toolCallFor) }),
    ...(role === 'tool' && { tool_call_id: toolCallId ?? '' }),
  };
}

function contentFor({ content, images, parts }: ChatMessage): unknown {
  if (parts) return parts.map(partFor);
  if (!images) return content;
  return [{ type: 'text', text: content }, ...images.map((url) => partFor({ type: 'image', url }))];
}

function partFor(part: ContentPart): object {
  if (part.type === 'other') return part.value;
  if (part.type === 'text') return part;
  const { url, detail } = part;
  return { type: 'image_url', image_url: { url, ...(detail && { detail }) } };
}

function toolCallFor({ id, name, arguments: args, extra }: ToolCall): object {
  return { ...extra, id, type: 'function', function: { name, arguments: args } };
}
