import type { AnswerOrigin, ChatMessage, ContentPart, ToolCall } from '#kernel';
import type { z } from '#zod';
import { message } from './docs.js';

/** A message of an import as it is stored: the reverse of `shownMessage`. */
export function storedMessage({
  role,
  content,
  images,
  parts,
  thinking,
  name,
  tool_calls,
  tool_call_id,
  tool_name,
  agent,
  end,
  failure,
  at,
  answered,
  extra,
  versions,
}: z.infer<typeof message>): ChatMessage {
  return {
    role,
    content,
    ...(images && { images }),
    ...(parts && { parts: parts satisfies readonly ContentPart[] }),
    ...(thinking !== undefined && { thinking }),
    ...(name !== undefined && { name }),
    ...(tool_calls && { toolCalls: tool_calls satisfies readonly ToolCall[] }),
    ...(tool_call_id !== undefined && { toolCallId: tool_call_id }),
    ...(tool_name !== undefined && { toolName: tool_name }),
    ...(agent !== undefined && { agent }),
    ...(end && { end }),
    ...(failure && { failure }),
    ...(at !== undefined && { at }),
    ...(answered && { answered: answered satisfies AnswerOrigin }),
    ...(versions && {
      versions: versions.map((all) => all.map((each) => storedMessage(message.parse(each)))),
    }),
    ...(extra && { extra }),
  };
}
