import { type ClientErrorCode, type Reply, type TerminalFrame, WaggleError } from '#kernel';

type Failed = Extract<TerminalFrame, { readonly type: 'error' | 'cancelled' }>;

/** Why a reply has ended without an answer. */
export function failureOf(frame: Failed, reply: Reply): WaggleError<ClientErrorCode> {
  if (frame.type === 'error') return reply.failure ?? new WaggleError('INTERNAL', {});
  if (frame.reason === 'shutdown') return new WaggleError('SHUTTING_DOWN', {});
  return new WaggleError('AGENT_DISCONNECTED', { agent: 'queen', why: 'the reply was cancelled' });
}
