import { httpStatus, WaggleError } from '#kernel';

/** Limits of this server that have a status of the server. */
const limits = new Set<string>(['QUEUE_FULL', 'SHUTTING_DOWN']);

/**
 * Whether a failure says that an agent may be ill, so that its health is looked at before the next request. Limits of this
 * server, requests that no agent could answer and models that it does not have say nothing about it.
 */
export function isFault(failure: unknown): boolean {
  if (WaggleError.is(failure, 'AGENT_FAILED')) return !failure.details?.refused && !failure.details?.model;
  if (WaggleError.is(failure, 'CONTEXT_TOO_LONG')) return false;
  const { code = '' } = failure as { readonly code?: string };
  const status = Object.hasOwn(httpStatus, code) ? httpStatus[code as keyof typeof httpStatus] : 500;
  return status >= 500 && !limits.has(code);
}
