import type { Agent, ChatRequest, StreamChunk } from '#kernel';
import { chunksOf } from '#sdk';
import { agentCall } from './agents.js';
import { silentLogger as logger } from './kernel.js';

/** A request that says hello. */
export function hello(model?: string): ChatRequest {
  return { id: 'q', messages: [{ role: 'user', content: 'Hallo' }], ...(model && { model }) };
}

/** All that an agent answers, and the error that it ended with. Between two pulls its reader is `busy`. */
export async function wholeAnswer(
  agent: Agent,
  request: ChatRequest,
  signal = new AbortController().signal,
  busy?: () => unknown,
): Promise<{
  readonly chunks: readonly StreamChunk[];
  /** How many chunks came at a time. */
  readonly sizes: readonly number[];
  readonly text: string;
  readonly thinking: string;
  readonly last: StreamChunk | undefined;
  readonly error: unknown;
}> {
  const chunks: StreamChunk[] = [];
  const sizes: number[] = [];
  let error: unknown;
  try {
    for await (const batch of agent.generateResponseStream(request, agentCall({ signal, logger }))) {
      chunks.push(...chunksOf(batch));
      sizes.push(chunksOf(batch).length);
      await busy?.();
    }
  } catch (cause) {
    error = cause;
  }
  const join = (type: 'text' | 'thinking') =>
    chunks.map((chunk) => (chunk.type === type ? chunk.content : '')).join('');
  return { chunks, sizes, text: join('text'), thinking: join('thinking'), last: chunks.at(-1), error };
}
