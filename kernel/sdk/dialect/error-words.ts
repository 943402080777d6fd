import type { Headers } from '../../contracts/transport.js';
import { type ClientErrorCode, WaggleError } from '../../errors.js';

/** Response headers that pages of other origins may read. */
export const exposedHeaders: Headers = {
  'access-control-expose-headers':
    'request-id, x-request-id, x-stream-id, x-waggle-agent, x-waggle-warning, x-waggle-dropped-messages, x-waggle-truncated, retry-after, retry-after-ms, x-should-retry',
};

// Official clients wait as long as the header says.
const retryLimitMs = 30_000;
const retryDefaultMs = 1000;

/**
 * Headers of an error with `status`. If a reply was started the client must not retry, because that would start a second
 * one; if the server was busy it may.
 */
export function errorHeaders(
  error: WaggleError<ClientErrorCode>,
  status: number,
  streamId: string | undefined,
): Headers {
  const isBusy = status === 429 || status === 503 || status === 529;
  return {
    ...exposedHeaders,
    ...(streamId !== undefined && { 'x-stream-id': streamId }),
    ...((status === 409 || (streamId !== undefined && !isBusy)) && { 'x-should-retry': 'false' }),
    ...(isBusy && retryHeaders(error.retryAfterMs)),
  };
}

/** The requested model, if the error is that there is none of its name. */
export function unknownModelIn(error: WaggleError<ClientErrorCode>): string | undefined {
  if (WaggleError.is(error, 'AGENT_UNKNOWN')) return error.details.agent;
  return WaggleError.is(error, 'AGENT_FAILED') ? error.details.model : undefined;
}

/** The message for it. */
export function unknownModelText(model: string): string {
  return `model '${model}' not found; GET /v1/models lists the available ones`;
}

/** Whether the error is a rate limit of the account or of the model server. */
export function isRateLimit(error: WaggleError<ClientErrorCode>): boolean {
  return WaggleError.is(error, 'AGENT_UNAVAILABLE') && error.details.busy === 429;
}

/** The first issue of an invalid request, such as `messages.2.content: expected …`. */
export function issueIn(error: WaggleError<ClientErrorCode>): string | undefined {
  return WaggleError.is(error, 'INVALID_REQUEST') ? error.details.issues[0] : undefined;
}

function retryHeaders(retryAfterMs = retryDefaultMs): Headers {
  const ms = Math.min(retryLimitMs, Math.max(1, retryAfterMs));
  return {
    'retry-after': String(Math.ceil(ms / 1000)),
    ...(ms < 1000 && { 'retry-after-ms': String(Math.ceil(ms)) }),
  };
}
