import type { ChatMessage } from '#kernel';
import type { z } from '#zod';
import type { message } from './docs.js';

/** A stored message as clients get it. */
export function shownMessage({
  role,
  content,
  images,
  parts,
  thinking,
  name,
  toolCalls,
  toolCallId,
  toolName,
  agent,
  end,
  failure,
  at,
  answered,
  extra,
  versions,
}: ChatMessage): z.infer<typeof message> {
  const calls = toolCalls?.map(({ id, name, arguments: args, extra }) => ({
    ...{ id, name, arguments: args },
    ...(extra && { extra }),
  }));
  return {
    role,
    content,
    ...(images && { images: [...images] }),
    ...(parts && { parts: [...parts] }),
    ...(thinking !== undefined && { thinking }),
    ...(name !== undefined && { name }),
    ...(calls && { tool_calls: calls }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
    ...(toolName !== undefined && { tool_name: toolName }),
    ...(agent !== undefined && { agent }),
    ...(end && { end }),
    ...(failure && { failure }),
    ...(at !== undefined && { at }),
    ...(answered && { answered }),
    ...(versions && { versions: versions.map((version) => version.map(shownMessage)) }),
    ...(extra && { extra }),
  };
}
