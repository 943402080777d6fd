import type { ToolCall } from '../../contracts/agent.js';
import type { ContextReport } from '../../contracts/chat.js';
import type { Reply, WholeReply } from '../../contracts/stream.js';
import { WaggleError } from '../../errors.js';

/** A reply that can be read to its end. `agent` is the one that answers. */
export type ReadableReply = Pick<Reply, 'read' | 'failure'> & { readonly agent: string };

/** Reads a reply to its end. @throws its failure, SHUTTING_DOWN, AGENT_DISCONNECTED after a cancel or when `signal` aborts */
export async function wholeReply(reply: ReadableReply, signal?: AbortSignal): Promise<WholeReply> {
  let text = '';
  let context: ContextReport | undefined;
  const toolCalls: Pick<ToolCall, 'id' | 'name' | 'arguments'>[] = [];
  const reader = reply.read();
  const leave = () => void reader.return();
  signal?.addEventListener('abort', leave, { once: true });
  if (signal?.aborted) leave();
  try {
    for await (const entries of reader)
      for (const { frame, toolCall } of entries) {
        if (toolCall && toolCall.executor !== 'server') {
          const { id, name, arguments: args } = toolCall;
          toolCalls.push({ id, name, arguments: args });
        }
        if (frame.type === 'streaming_token') text += frame.content;
        else if (frame.type === 'streaming_start') context = frame.context;
        else if (frame.type === 'streaming_end' || frame.type === 'message') {
          const { agent, usage, truncated } = frame;
          if ('content' in frame) context = frame.context;
          return {
            content: 'content' in frame ? frame.content : text,
            agent,
            ...(usage && { usage }),
            ...(toolCalls.length > 0 && { toolCalls }),
            ...(context && { context }),
            ...(truncated && { truncated }),
          };
        } else if (frame.type === 'cancelled' && frame.reason === 'shutdown')
          throw new WaggleError('SHUTTING_DOWN', { retryAfterMs: 1000 });
      }
  } finally {
    signal?.removeEventListener('abort', leave);
  }
  const why = 'the reply was cancelled';
  throw reply.failure ?? new WaggleError('AGENT_DISCONNECTED', { agent: reply.agent, why });
}
