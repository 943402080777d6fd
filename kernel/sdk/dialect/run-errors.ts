import type { ClientErrorCode } from '../../errors.js';

/** Errors of a request to an agent, for the documents of its route. */
export const agentErrors: readonly ClientErrorCode[] = [
  'AGENT_UNKNOWN',
  'AGENT_DISCONNECTED',
  'AGENT_PROTOCOL',
  'AGENT_UNAVAILABLE',
  'AGENT_TIMEOUT',
  'QUEUE_FULL',
  'SHUTTING_DOWN',
  'DEADLINE_EXCEEDED',
];

/** The same for an answer of a dialect. */
export const answerErrors: readonly ClientErrorCode[] = [
  ...agentErrors,
  'BUSY',
  'CONTEXT_TOO_LONG',
  'IDEMPOTENCY_MISMATCH',
];
