import {
  type Access,
  type HttpRequest,
  type HttpResponse,
  type Route,
  toClientError,
  WaggleError,
} from '#kernel';
import { expectValid } from '#sdk';
import { isCrossOrigin } from '#sdk/http';
import type { z } from '#zod';
import { sessionBody, type signedIn, signInDocs, signOutDocs } from './docs.js';
import { sessionCookie } from './session-cookie.js';
import type { Sessions } from './sessions.js';

const fresh = { 'cache-control': 'no-store' };

/** Sign-in and sign-out of the page. */
export function sessionRoutes(sessions: Sessions, access: Pick<Access, 'audit'>): readonly Route[] {
  const path = '/ui/session';
  return [
    {
      ...{ method: 'POST', path, access: 'public', docs: signInDocs },
      handler: (request, reply) => signIn(sessions, access, request, reply),
    },
    {
      ...{ method: 'DELETE', path, access: 'public', docs: signOutDocs },
      handler: (request, reply) => signOut(sessions, access, request, reply),
    },
  ];
}

async function signIn(
  sessions: Sessions,
  access: Pick<Access, 'audit'>,
  request: HttpRequest,
  reply: HttpResponse,
): Promise<void> {
  const from = { what: `${request.method} ${request.path}`, ...sourceOf(request) };
  try {
    checkOrigin(request);
    checkType(request);
    const { token } = await expectValid(sessionBody, await request.json());
    const { principal, value, expiresAt } = await sessions.signIn(token, request.remoteAddress);
    access.audit({ action: 'sign_in', ...from, userId: principal.id });
    const seconds = Math.floor((expiresAt - Date.now()) / 1000);
    const body = { user_id: principal.id, expires_at: expiresAt } satisfies z.infer<typeof signedIn>;
    reply.json(200, body, { ...fresh, 'set-cookie': sessionCookie(request, value, seconds) });
  } catch (error) {
    const { code, details } = toClientError(error);
    access.audit({ action: 'refused', ...from, why: 'why' in details ? `${code}: ${details.why}` : code });
    throw error;
  }
}

async function signOut(
  sessions: Sessions,
  access: Pick<Access, 'audit'>,
  request: HttpRequest,
  reply: HttpResponse,
): Promise<void> {
  checkOrigin(request);
  const { remoteAddress } = request;
  const userId = await sessions.signOut(request.header('cookie'), remoteAddress);
  if (userId !== undefined)
    access.audit({ action: 'sign_out', what: 'the page', userId, ...sourceOf(request) });
  reply.send(204, '', { ...fresh, 'set-cookie': sessionCookie(request, '', 0) });
}

function sourceOf({ remoteAddress, id: requestId }: HttpRequest) {
  return { remoteAddress, requestId };
}

/** Forms of other pages can send any other type. @throws UNSUPPORTED_MEDIA_TYPE */
function checkType(request: HttpRequest): void {
  const type = request.header('content-type')?.trim() ?? 'no type';
  if (!/^application\/json(?:;|$)/i.test(type)) throw new WaggleError('UNSUPPORTED_MEDIA_TYPE', { type });
}

/** @throws FORBIDDEN */
function checkOrigin(request: HttpRequest): void {
  const host = request.origin.replace(/^https?:\/\//, '');
  if (isCrossOrigin((name) => request.header(name), host))
    throw new WaggleError('FORBIDDEN', { why: 'only pages of this server sign in and out' });
}
