import { type ClientErrorCode, type Reply, type TerminalFrame, type ToolCall, WaggleError } from '#kernel';
import type { Answer } from './chunk-format.js';

/** Reads an answer to its end. Undefined when `signal` aborts. @throws why the reply failed; `asked` is the agent that was asked for */
export async function readWhole(
  reply: Reply,
  asked: string,
  signal: AbortSignal,
): Promise<Answer | undefined> {
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
        } else if (frame.type === 'streaming_end') {
          const { agent, usage } = frame;
          const end = calledFor(frame.reason, toolCalls, calledAt === position);
          return { text, thinking, agent, usage, ...end };
        } else if (frame.type === 'message') {
          const { content, agent, usage } = frame;
          const end = calledFor('stop', toolCalls, toolCalls.length > 0);
          return { text: content, thinking, agent, usage, ...end };
        } else if (frame.type === 'error' || frame.type === 'cancelled') throw failureOf(frame, reply, asked);
      }
  } finally {
    signal.removeEventListener('abort', leave);
  }
  return undefined;
}

/** Calls of an agent that went on afterwards were run by the agent itself: the client must not run them. */
function calledFor(why: string, toolCalls: readonly ToolCall[], isCallLast: boolean) {
  const reason = endOf(why, toolCalls.length, isCallLast);
  return { reason, toolCalls: reason === 'tool_calls' || reason === 'length' ? toolCalls : [] };
}

/** Finish reason of an answer: one that ends with a tool call stopped for it, whatever the model says. */
export function endOf(reason: string, toolCalls: number, isCallLast: boolean): string {
  if (toolCalls === 0) return reason === 'tool_calls' ? 'stop' : reason;
  return isCallLast && reason !== 'length' ? 'tool_calls' : reason;
}

type Failed = Extract<TerminalFrame, { readonly type: 'error' | 'cancelled' }>;

/** Why a reply of `agent` ended without an answer. */
export function failureOf(frame: Failed, reply: Reply, agent: string): WaggleError<ClientErrorCode> {
  if (frame.type === 'error') return reply.failure ?? new WaggleError('INTERNAL', {});
  if (frame.reason === 'shutdown') return new WaggleError('SHUTTING_DOWN', {});
  return new WaggleError('AGENT_DISCONNECTED', { agent, why: 'the reply was cancelled' });
}
