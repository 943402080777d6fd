import { httpStatus } from '../contracts/error-codes.js';
import type { ClientErrorCode, WaggleError } from '../errors.js';

/** The status that stands for an error: a request that a model server does not take keeps the status of its refusal. */
export function statusOf(error: WaggleError<ClientErrorCode>): number {
  const { refused } = error.details as { readonly refused?: unknown };
  const isRefusal = error.code === 'AGENT_FAILED' && typeof refused === 'number';
  return isRefusal && refused >= 400 && refused < 500 ? refused : httpStatus[error.code];
}
