import type { Principal } from '../contracts/access.js';
import type { ServerFrame } from '../contracts/stream.js';

/** The response to an `auth` frame. */
export function authOkFrame({
  id: userId,
  scopes,
  expiresAt,
}: Principal): Extract<ServerFrame, { readonly type: 'auth_ok' }> {
  return { type: 'auth_ok', userId, scopes: [...scopes], ...(expiresAt !== undefined && { expiresAt }) };
}
