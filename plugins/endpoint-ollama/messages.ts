import { type ChatMessage, type ToolCall, WaggleError } from '#kernel';
import type { ChatBody } from './body.js';

type Message = NonNullable<ChatBody['messages']>[number];

/** The source text of the arguments of a call, by the places of its message and of the call. */
export type RawArguments = (message: number, call: number) => string | undefined;

/** Messages in the format of agents. Calls without an id get one, and results without one belong to the next open call of that name. */
export function messagesOf(messages: readonly Message[], raw: RawArguments): readonly ChatMessage[] {
  const open = new Map<string, string>();
  return messages.map((message, place) => {
    const { role, thinking } = message;
    const images = imagesOf(message.images, `messages.${place}.images`);
    const toolCalls = (message.tool_calls ?? []).map((call, at) =>
      toolCallOf(call, place, at, raw(place, at)),
    );
    for (const { id, name } of toolCalls) open.set(id, name);
    return {
      role: role === 'developer' ? 'system' : role,
      content: message.content ?? '',
      ...(images.length > 0 && { images }),
      ...(thinking && { thinking }),
      ...(toolCalls.length > 0 && { toolCalls }),
      ...(role === 'tool' && resultOf(message, open)),
    };
  });
}

/** Base64 as `data:` URLs. @throws INVALID_REQUEST */
export function imagesOf(images: readonly string[] | null | undefined, field: string): readonly string[] {
  return (images ?? []).map((image, place) => {
    const [, head, data = ''] = /^(data:image\/[\w.+-]+;base64,)?(.*)$/s.exec(image) ?? [];
    const text = data.replace(/\s/g, '');
    if (text === '' || /[^\w+/=-]/.test(text))
      throw new WaggleError('INVALID_REQUEST', { issues: [`${field}.${place}: expected base64`] });
    return `${head ?? `data:${typeOf(text)};base64,`}${text}`;
  });
}

/** The media type, by how files of a kind begin. */
function typeOf(base64: string): string {
  if (base64.startsWith('/9j/')) return 'image/jpeg';
  if (base64.startsWith('R0lG')) return 'image/gif';
  return base64.startsWith('UklG') ? 'image/webp' : 'image/png';
}

type Call = NonNullable<Message['tool_calls']>[number];

function toolCallOf(
  { id, function: { name, arguments: args } }: Call,
  place: number,
  at: number,
  raw: string | undefined,
): ToolCall {
  const text = typeof args === 'string' ? args : (raw ?? JSON.stringify(args ?? {}));
  return { id: id || `call_${place}_${at}`, name, arguments: text.trim() || '{}' };
}

function resultOf(
  { tool_name: named, name, tool_call_id: id }: Message,
  open: Map<string, string>,
): Pick<ChatMessage, 'toolCallId' | 'toolName'> {
  // Old clients say `name`.
  const given = named || (typeof name === 'string' && name) || undefined;
  const toolCallId = id || [...open].find(([, each]) => given === undefined || each === given)?.[0];
  const toolName = given ?? (toolCallId && open.get(toolCallId));
  if (toolCallId) open.delete(toolCallId);
  return { ...(toolCallId && { toolCallId }), ...(toolName && { toolName }) };
}
