import type { StreamChunk } from '#kernel';
import { newCallId } from '#sdk';

type Call = Extract<StreamChunk, { type: 'tool_call' | 'tool_call_piece' }>;

/** Whether it is what agents may yield. Many write the arguments as an object; those become text here, once. */
export function isCall(call: Call): boolean {
  const { type, name, arguments: args } = call as { readonly [Key in keyof Call]: unknown };
  const { extra } = call as { readonly extra?: unknown };
  if (typeof name !== 'string' || (extra !== undefined && typeof extra !== 'object')) return false;
  return type === 'tool_call' || (typeof args === 'string' && typeof call.id === 'string');
}

/** The same call with an id and with arguments that are text. @throws where JSON has no words for them */
export function textual(call: Extract<StreamChunk, { type: 'tool_call' }>): typeof call {
  const { id, arguments: args } = call as { readonly id: unknown; readonly arguments: unknown };
  if (typeof args === 'string' && args !== '' && typeof id === 'string' && id !== '') return call;
  const text = typeof args === 'string' ? args : JSON.stringify(args ?? {});
  return {
    ...call,
    id: typeof id === 'string' && id !== '' ? id : newCallId(),
    arguments: text || '{}',
  };
}
