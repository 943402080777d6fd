import type { ServerFrame } from '../contracts/stream.js';
import type { ClientErrorCode, WaggleError } from '../errors.js';

type ErrorFrame = Extract<ServerFrame, { readonly type: 'error' }>;

/** The `error` frame of an error; `about` names the stream, task or request that failed. */
export function errorFrame(
  { code, message, retryAfterMs }: WaggleError<ClientErrorCode>,
  about: Pick<ErrorFrame, 'streamId' | 'taskId' | 'requestId'>,
): ErrorFrame {
  return { type: 'error', code, message, ...about, ...(retryAfterMs && { retryAfterMs }) };
}
