import type { ErrorAnswer } from '../../contracts/transport.js';
import { z } from '../../contracts/zod.js';
import { type ClientErrorCode, WaggleError } from '../../errors.js';
import { statusOf } from '../status-of.js';
import { errorHeaders, isRateLimit, issueIn, unknownModelIn, unknownModelText } from './error-words.js';

/** An error in the format of OpenAI's API. */
export const openAiErrorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable().describe('The invalid field'),
    code: z.string().nullable(),
  }),
});

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

/** The response to an error, for a request that has perhaps started a reply. */
export function openAiError(error: WaggleError<ClientErrorCode>, streamId: string | undefined): ErrorAnswer {
  const [status, body] = worded(error);
  return { status, body, headers: errorHeaders(error, status, streamId) };
}

/** Status of an error for clients of model servers. */
export function modelErrorStatus(error: WaggleError<ClientErrorCode>): number {
  return worded(error)[0];
}

/** The body alone, for an error in a stream that has begun. */
export function openAiErrorObject(error: WaggleError<ClientErrorCode>): z.infer<typeof openAiErrorBody> {
  return worded(error)[1];
}

function worded(error: WaggleError<ClientErrorCode>): readonly [number, z.infer<typeof openAiErrorBody>] {
  const model = unknownModelIn(error);
  const [status, code] =
    model !== undefined
      ? [404, 'model_not_found']
      : (wordingOf(error) ?? [statusOf(error), error.code.toLowerCase()]);
  const issue = located(issueIn(error));
  const message = model !== undefined ? unknownModelText(model) : (issue?.text ?? error.message);
  const param = model !== undefined ? 'model' : (issue?.param ?? paramOf(error));
  return [status, { error: { message, type: typeOf(status), param, code } }];
}

function paramOf(error: WaggleError<ClientErrorCode>): string | null {
  return WaggleError.is(error, 'RESPONSE_UNKNOWN') && error.details.isPrevious
    ? 'previous_response_id'
    : null;
}

function wordingOf(error: WaggleError<ClientErrorCode>): readonly [number, string] | undefined {
  // A request that the model server refuses is an error of the client.
  if (error.code === 'AGENT_FAILED' && statusOf(error) < 500) return [statusOf(error), 'invalid_request'];
  if (WaggleError.is(error, 'RESPONSE_UNKNOWN'))
    return error.details.isPrevious ? [400, 'previous_response_not_found'] : [404, 'response_not_found'];
  if (isRateLimit(error)) return [429, 'rate_limit_exceeded'];
  return wordings[error.code];
}

/** An issue such as `messages.2.content: expected …`, with its field as OpenAI writes it: `messages[2].content`. */
function located(
  issue: string | undefined,
): { readonly param: string | null; readonly text: string } | undefined {
  if (issue === undefined) return undefined;
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
