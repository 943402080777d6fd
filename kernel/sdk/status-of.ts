import { httpStatus } from '../contracts/error-codes.js';
import type { ClientErrorCode, WaggleError } from '../errors.js';

/** HTTP status of an error; that of the refusal where a model server has refused the request. */
export function statusOf(error: WaggleError<ClientErrorCode>): number {
  const { refused } = error.details as { readonly refused?: unknown };
  const isRefusal = error.code === 'AGENT_FAILED' && typeof refused === 'number';
  return isRefusal && refused >= 400 && refused < 500 ? refused : httpStatus[error.code];
}
