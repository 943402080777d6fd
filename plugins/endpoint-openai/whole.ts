import type { Reply, ToolCall } from '#kernel';
import type { Answer } from './chunk-format.js';
import { failureOf } from './failure.js';

/** Reads an answer to its end. @throws why it failed; undefined when nobody waits for it any more */
export async function readWhole(reply: Reply, signal: AbortSignal): Promise<Answer | undefined> {
  const reader = reply.read();
  const leave = () => void reader.return();
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  let text = '';
  let thinking = '';
  const toolCalls: ToolCall[] = [];
  let calledAt = -1;
  try {
    for await (const entries of reader)
      for (const { frame, toolCall, position } of entries) {
        if (frame.type === 'streaming_token') text += frame.content;
        else if (frame.type === 'streaming_thinking') thinking += frame.content;
        else if (toolCall) {
          if (toolCall.executor === 'server') continue;
          toolCalls.push(toolCall);
          calledAt = position;
        } else if (frame.type === 'streaming_end')
          return {
            text,
            thinking,
            agent: frame.agent,
            ...calledFor(frame.reason, toolCalls, calledAt === position),
            usage: frame.usage,
          };
        else if (frame.type === 'message')
          return {
            text: frame.content,
            thinking,
            agent: frame.agent,
            ...calledFor('stop', toolCalls, toolCalls.length > 0),
            usage: frame.usage,
          };
        else if (frame.type === 'error' || frame.type === 'cancelled') throw failureOf(frame, reply);
      }
  } finally {
    signal.removeEventListener('abort', leave);
  }
  return undefined;
}

/** An agent that went on after a call has run that by itself: its client is not to. */
function calledFor(why: string, toolCalls: readonly ToolCall[], isCallLast: boolean) {
  const reason = endOf(why, toolCalls.length, isCallLast);
  return { reason, toolCalls: reason === 'tool_calls' || reason === 'length' ? toolCalls : [] };
}

/** Why an answer ended: who asked for tools last stopped for them, whatever the model calls it. */
export function endOf(reason: string, toolCalls: number, isCallLast: boolean): string {
  if (toolCalls === 0) return reason === 'tool_calls' ? 'stop' : reason;
  return isCallLast && reason !== 'length' ? 'tool_calls' : reason;
}
