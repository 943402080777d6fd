import type { ClientErrorCode, ErrorAnswer, WaggleError } from '#kernel';
import { statusOf } from '#sdk';
import { errorHeaders, isRateLimit, issueIn, unknownModelIn, unknownModelText } from '#sdk/dialect';
import { z } from '#zod';

/** Anthropic's status for 503. */
const overloaded = 529;

/** Error types by status; 4xx otherwise `invalid_request_error`, 5xx `api_error`. */
const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  [overloaded]: 'overloaded_error',
};

/** An error in the format of Anthropic's API, also as an event. */
export const errorBody = z.object({
  type: z.literal('error'),
  error: z.object({
    type: z.enum([
      ...(['invalid_request_error', 'authentication_error', 'billing_error', 'permission_error'] as const),
      ...(['not_found_error', 'request_too_large', 'rate_limit_error', 'timeout_error'] as const),
      ...(['api_error', 'overloaded_error'] as const),
    ]),
    message: z.string(),
  }),
  request_id: z.string().describe('As in the header `request-id`'),
});

/** The response to an error, for a request that has perhaps started a reply. */
export function messagesError(
  error: WaggleError<ClientErrorCode>,
  requestId: string,
  streamId: string | undefined,
): ErrorAnswer {
  const status = errorStatus(error);
  const headers = { ...errorHeaders(error, status, streamId), 'request-id': requestId };
  return { status, body: errorObject(error, requestId), headers };
}

/** The body alone, for an error in a stream that has begun. */
export function errorObject(error: WaggleError<ClientErrorCode>, requestId: string): object {
  const status = errorStatus(error);
  const type = types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  return { type: 'error', error: { type, message: messageOf(error) }, request_id: requestId };
}

function errorStatus(error: WaggleError<ClientErrorCode>): number {
  if (unknownModelIn(error) !== undefined) return 404;
  if (isRateLimit(error)) return 429;
  const status = statusOf(error);
  return status === 503 ? overloaded : status;
}

function messageOf(error: WaggleError<ClientErrorCode>): string {
  const model = unknownModelIn(error);
  if (model !== undefined) return unknownModelText(model);
  // Clients shorten the conversation when they read these words.
  if (error.code === 'CONTEXT_TOO_LONG') return `prompt is too long: ${error.message}`;
  return issueIn(error) ?? error.message;
}
