import { type ClientErrorCode, type ErrorAnswer, type Headers, WaggleError } from '#kernel';
import { statusOf } from '#sdk';
import { z } from '#zod';

/** An error in the format of OpenAI's API. */
export const errorObject = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable().describe('The invalid field'),
    code: z.string().nullable(),
  }),
});

/** Response headers that pages of other origins may read. */
export const exposed: Headers = {
  'access-control-expose-headers':
    'x-request-id, x-stream-id, x-waggle-agent, x-waggle-warning, retry-after, retry-after-ms, x-should-retry',
};

/** Status and code by error code. Default: the usual status, and the code in lower case. */
const wordings: Partial<Record<ClientErrorCode, readonly [number, string]>> = {
  INVALID_REQUEST: [400, 'invalid_value'],
  TOO_DEEP: [400, 'invalid_value'],
  CONTEXT_TOO_LONG: [400, 'context_length_exceeded'],
  UNAUTHORIZED: [401, 'invalid_api_key'],
  RATE_LIMITED: [429, 'rate_limit_exceeded'],
  BUDGET_EXCEEDED: [429, 'insufficient_quota'],
  NOT_FOUND: [404, 'unknown_route'],
  AGENT_UNKNOWN: [404, 'model_not_found'],
  TOO_LARGE: [413, 'request_too_large'],
  INTERNAL: [500, 'internal_error'],
  AGENT_FAILED: [500, 'agent_failed'],
  AGENT_DISCONNECTED: [502, 'upstream_error'],
  AGENT_PROTOCOL: [502, 'upstream_error'],
  QUEUE_FULL: [503, 'overloaded'],
  SHUTTING_DOWN: [503, 'draining'],
  AGENT_TIMEOUT: [504, 'upstream_timeout'],
  DEADLINE_EXCEEDED: [504, 'upstream_timeout'],
};

// The official client waits as long as the header says.
const retryLimitMs = 30_000;
const retryDefaultMs = 1000;

/**
 * The response to an error. If a reply was started the client must not retry, because that would start a second one;
 * if the server was busy it may.
 */
export function errorAnswer(
  error: WaggleError<ClientErrorCode>,
  streamId: string | undefined,
  advice?: string,
): ErrorAnswer {
  const [status, body] = worded(error, advice);
  const isBusy = status === 429 || status === 503;
  return {
    status,
    body,
    headers: {
      ...exposed,
      ...(streamId !== undefined && { 'x-stream-id': streamId }),
      ...((status === 409 || (streamId !== undefined && !isBusy)) && { 'x-should-retry': 'false' }),
      ...(isBusy && retryHeaders(error.retryAfterMs)),
    },
  };
}

/** An error as an event of a stream that has begun. */
export function errorEvent(error: WaggleError<ClientErrorCode>): string {
  return `data: ${JSON.stringify(worded(error)[1])}\n\n`;
}

function worded(
  error: WaggleError<ClientErrorCode>,
  advice?: string,
): readonly [number, z.infer<typeof errorObject>] {
  const model = unknownModel(error);
  const [status, code] =
    model !== undefined
      ? [404, 'model_not_found']
      : (wordingOf(error) ?? [statusOf(error), error.code.toLowerCase()]);
  const [issue] = WaggleError.is(error, 'INVALID_REQUEST') ? error.details.issues.map(located) : [];
  const message =
    model !== undefined
      ? `model '${model}' not found; GET /v1/models lists the available ones`
      : error.message;
  const param = model !== undefined ? 'model' : (issue?.param ?? null);
  return [
    status,
    { error: { message: advice ?? issue?.text ?? message, type: typeOf(status), param, code } },
  ];
}

function wordingOf(error: WaggleError<ClientErrorCode>): readonly [number, string] | undefined {
  // A request that the model server refuses is an error of the client.
  if (error.code === 'AGENT_FAILED' && statusOf(error) < 500) return [statusOf(error), 'invalid_request'];
  // A rate limit of the account or of the model server.
  if (WaggleError.is(error, 'AGENT_UNAVAILABLE') && error.details.busy === 429)
    return [429, 'rate_limit_exceeded'];
  return wordings[error.code];
}

function unknownModel(error: WaggleError<ClientErrorCode>): string | undefined {
  if (WaggleError.is(error, 'AGENT_UNKNOWN')) return error.details.agent;
  return WaggleError.is(error, 'AGENT_FAILED') ? error.details.model : undefined;
}

/** An issue such as `messages.2.content: expected …`, with its field as OpenAI writes it: `messages[2].content`. */
function located(issue: string): { readonly param: string | null; readonly text: string } {
  const [, path, what] = /^([\w.-]+): (.*)$/s.exec(issue) ?? [];
  if (!path) return { param: null, text: issue };
  const param = path.replace(/\.(\d+)(?=\.|$)/g, '[$1]');
  return { param, text: `${param}: ${what}` };
}

function typeOf(status: number): string {
  if (status >= 500) return 'server_error';
  if (status === 401) return 'authentication_error';
  if (status === 429) return 'rate_limit_error';
  if (status === 403) return 'permission_error';
  return status === 404 ? 'not_found_error' : 'invalid_request_error';
}

function retryHeaders(retryAfterMs = retryDefaultMs): Headers {
  const ms = Math.min(retryLimitMs, Math.max(1, retryAfterMs));
  return {
    'retry-after': String(Math.ceil(ms / 1000)),
    ...(ms < 1000 && { 'retry-after-ms': String(Math.ceil(ms)) }),
  };
}
