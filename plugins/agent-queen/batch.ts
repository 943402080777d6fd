import { type ChatChunk, type StreamChunk, type ToolCall, WaggleError } from '#kernel';
import { chunksOf, newCallId } from '#sdk';

/** Chunks that are written together. */
export type Batch = readonly ChatChunk[];

/** The end of an answer. */
export type Done = Extract<StreamChunk, { type: 'done' }>;

/** Validates chunks from third-party agents, ignores those after `done`, and adds tool calls for the client to `calls`. */
export function checkedChunks(
  pulled: StreamChunk | readonly StreamChunk[],
  agent: string,
  calls: ToolCall[],
): readonly StreamChunk[] {
  let chunks = chunksOf(pulled);
  const { length } = chunks;
  for (let index = 0; index < length; index++) {
    const kind = kindOf(chunks[index]);
    if (kind === 'odd')
      throw new WaggleError('AGENT_PROTOCOL', { agent, why: 'it yielded something that is not a chunk' });
    if (kind === 'call') {
      chunks = withTextArguments(chunks, index);
      const call = chunks[index] as StreamChunk & { type: 'tool_call' };
      if (call.executor !== 'server') calls.push(call);
    }
    if (kind === 'end') return index === length - 1 ? chunks : chunks.slice(0, index + 1);
  }
  return chunks;
}

export function textIn(batch: Batch): string {
  return batch.map((chunk) => (chunk.type === 'text' ? chunk.content : '')).join('');
}

export function hasContent(batch: Batch): boolean {
  return batch.some(
    (chunk) =>
      chunk.type === 'tool_call' ||
      chunk.type === 'tool_call_piece' ||
      ('content' in chunk && chunk.content !== ''),
  );
}

/** The end of an answer, which the batch has. */
export function doneIn(batch: Batch): Done {
  return batch[batch.length - 1] as Done;
}

/** The same with the mark that the model has read less than it was sent. */
export function asTruncated(batch: Batch): Batch {
  return batch.with(-1, { ...doneIn(batch), truncated: true });
}

export function endsAnswer(batch: Batch): boolean {
  return batch[batch.length - 1]?.type === 'done';
}

function withTextArguments(chunks: readonly StreamChunk[], index: number): readonly StreamChunk[] {
  const call = chunks[index] as StreamChunk & { type: 'tool_call' };
  const written = textual(call);
  return written === call ? chunks : chunks.with(index, written);
}

function kindOf(chunk: StreamChunk | null | undefined): 'piece' | 'call' | 'end' | 'odd' {
  switch (chunk?.type) {
    case 'text':
    case 'thinking':
      return typeof chunk.content === 'string' ? 'piece' : 'odd';
    case 'tool_call':
      return isCall(chunk) ? 'call' : 'odd';
    case 'tool_call_piece':
      return isCall(chunk) ? 'piece' : 'odd';
    case 'tool_result':
      return typeof chunk.id === 'string' && typeof chunk.name === 'string' ? 'piece' : 'odd';
    case 'logprobs':
      return Array.isArray(chunk.logprobs) ? 'piece' : 'odd';
    case 'done':
      return 'end';
    default:
      return 'odd';
  }
}

/** Whether a tool call is valid. Its arguments may be an object, which `textual` converts. */
function isCall(call: Extract<StreamChunk, { type: 'tool_call' | 'tool_call_piece' }>): boolean {
  const { type, name, arguments: args } = call as { readonly [Key in keyof typeof call]: unknown };
  const { extra } = call as { readonly extra?: unknown };
  if (typeof name !== 'string' || (extra !== undefined && typeof extra !== 'object')) return false;
  return type === 'tool_call' || (typeof args === 'string' && typeof call.id === 'string');
}

/** A call with an id and with arguments as text. @throws where the arguments are not serialisable */
function textual(call: Extract<StreamChunk, { type: 'tool_call' }>): typeof call {
  const { id, arguments: args } = call as { readonly id: unknown; readonly arguments: unknown };
  if (typeof args === 'string' && args !== '' && typeof id === 'string' && id !== '') return call;
  const text = typeof args === 'string' ? args : JSON.stringify(args ?? {});
  return {
    ...call,
    id: typeof id === 'string' && id !== '' ? id : newCallId(),
    arguments: text || '{}',
  };
}
