import type { Principal } from '../contracts/access.js';
import { WaggleError } from '../errors.js';

/** Refuses work for credentials that have expired while their connection is still open. @throws UNAUTHORIZED */
export function checkUnexpired({ expiresAt }: Principal): void {
  if (expiresAt === undefined || expiresAt > Date.now()) return;
  throw new WaggleError('UNAUTHORIZED', { why: 'they have expired; send newer ones in an "auth" frame' });
}
