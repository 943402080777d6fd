import { type AgentResponse, BaseAgent, type StreamChunk } from '#kernel';
import type { Batch } from './batch.js';

/** Without what is meant for the log of a reply only. */
export function contentOf(batch: Batch): readonly StreamChunk[] {
  return batch.filter(
    (chunk): chunk is StreamChunk =>
      chunk.type !== 'agent' &&
      chunk.type !== 'queued' &&
      chunk.type !== 'delegation' &&
      chunk.type !== 'approval_required' &&
      chunk.type !== 'approval_resolved',
  );
}

/** The whole answer of an agent. @throws as its stream; AGENT_FAILED for one that is too long */
export function collect(
  agent: string,
  stream: AsyncIterable<readonly StreamChunk[]>,
): Promise<AgentResponse> {
  return new Collector(agent, stream).generateResponse({ id: '', messages: [] }, {} as never);
}

class Collector extends BaseAgent {
  readonly name: string;
  readonly #stream: AsyncIterable<readonly StreamChunk[]>;

  constructor(name: string, stream: AsyncIterable<readonly StreamChunk[]>) {
    super();
    this.name = name;
    this.#stream = stream;
  }

  generateResponseStream(): AsyncIterable<readonly StreamChunk[]> {
    return this.#stream;
  }
}
