import { WaggleError } from '../../errors.js';
import type { Request } from './request.js';

/** Refuses a head that two servers in a row could read in two ways: what one takes for a body, the other may run as a request. @throws INVALID_REQUEST */
export function checkFraming(request: Request): void {
  const coding = request.header('transfer-encoding');
  const length = request.header('content-length');
  const issues: string[] = [];
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || length !== undefined))
    issues.push('Transfer-Encoding: expected "chunked", and no Content-Length beside it');
  else if (length !== undefined && !/^\d+$/.test(length)) issues.push('Content-Length: expected one number');
  if (issues.length > 0) throw new WaggleError('INVALID_REQUEST', { issues });
}
