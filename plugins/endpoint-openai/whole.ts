import type { Reply, ToolCall } from '#kernel';
import { failureOf } from './failure.js';
import type { Answer } from './wording.js';

/** Reads an answer to its end. @throws why it failed; undefined when nobody waits for it any more */
export async function readWhole(reply: Reply, signal: AbortSignal): Promise<Answer | undefined> {
  const reader = reply.read();
  const leave = () => void reader.return();
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  let text = '';
  let thinking = '';
  const toolCalls: ToolCall[] = [];
  try {
    for await (const entries of reader)
      for (const { frame, toolCall } of entries) {
        if (frame.type === 'streaming_token') text += frame.content;
        else if (frame.type === 'streaming_thinking') thinking += frame.content;
        else if (toolCall) toolCalls.push(toolCall);
        else if (frame.type === 'streaming_end')
          return {
            text,
            thinking,
            toolCalls,
            reason: endOf(frame.reason, toolCalls.length),
            usage: frame.usage,
          };
        else if (frame.type === 'message')
          return {
            text: frame.content,
            thinking,
            toolCalls,
            reason: endOf('stop', toolCalls.length),
            usage: frame.usage,
          };
        else if (frame.type === 'error' || frame.type === 'cancelled') throw failureOf(frame, reply);
      }
  } finally {
    signal.removeEventListener('abort', leave);
  }
  return undefined;
}

/** Why an answer ended: who asked for tools stopped for them, whatever the model calls it. */
export function endOf(reason: string, toolCalls: number): string {
  return toolCalls > 0 && reason !== 'length' ? 'tool_calls' : reason;
}
