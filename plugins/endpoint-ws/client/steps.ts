import type { ServerFrame } from './server-frame.js';
import type { ApprovalRequired, Chunk, ToolCall } from './types.js';

/** Steps of a reply besides its content, as chunks; each once, also where the server repeats them to a reader that resumes. */
export class Steps {
  readonly #calls = new Map<string, ToolCall>();
  readonly #seen = new Set<string>();
  #position = -1;

  get calls(): readonly ToolCall[] {
    return [...this.#calls.values()];
  }

  /** Undefined for a frame that is no step, or was seen. */
  read(frame: ServerFrame, position: number): Chunk | undefined {
    const chunk = chunkOf(frame);
    if (!chunk) return undefined;
    // The same agent may be asked again later on.
    if (position !== this.#position) this.#seen.clear();
    this.#position = position;
    const key = chunk.type === 'agent' ? JSON.stringify(chunk) : `${chunk.type} ${chunk.id}`;
    if (this.#seen.has(key) || (chunk.type === 'tool_call' && this.#calls.has(chunk.id))) return undefined;
    this.#seen.add(key);
    if (chunk.type === 'tool_call') this.#calls.set(chunk.id, chunk);
    return chunk;
  }
}

type Step = Exclude<Chunk, { readonly content: string }>;

function chunkOf(frame: ServerFrame): Step | undefined {
  const { type, id = '', name = '', agent = '', arguments: input, argumentsText, allow = false, by } = frame;
  switch (type) {
    case 'streaming_tool_call': {
      const { executor } = frame;
      return { type: 'tool_call', id, name, arguments: input, argumentsText, executor };
    }
    case 'streaming_tool_result': {
      const { output, error, durationMs = 0 } = frame;
      return { type: 'tool_result', id, name, output, error, durationMs };
    }
    case 'approval_required': {
      const { expiresInMs = 0 } = frame;
      return { type, id, name, arguments: input, argumentsText, expiresInMs } satisfies ApprovalRequired;
    }
    case 'approval_resolved':
      return { type, id, allow, by };
    case 'streaming_agent': {
      const { via = 'consult', state = 'started', parent = '' } = frame;
      return { type: 'agent', agent, via, state, parent };
    }
    default:
      return undefined;
  }
}
