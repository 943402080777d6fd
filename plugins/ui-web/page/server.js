/** The root of this server, which a proxy may serve below a path. */
export const root = new URL('../../../', import.meta.url);

/**
 * @typedef {object} AgentStatus
 * @property {string} name
 * @property {string} [description]
 * @property {boolean} healthy
 * @property {string} [detail]
 * @property {readonly string[]} [models]
 * @property {boolean} [demo] it is no model
 * @property {readonly { readonly name: string, readonly capabilities?: readonly string[] }[]} [modelDetails]
 */

/** Dispatched on the window when the server asks for credentials. */
export const unauthorized = 'waggle:unauthorized';

/** Requests JSON. @param {string} path from the root on, @param {RequestInit} [options] @returns {Promise<any>} */
export async function ask(path, options = {}, timeoutMs = 15_000) {
  const answer = await fetch(new URL(path, root), { ...options, signal: AbortSignal.timeout(timeoutMs) });
  const body = answer.status === 204 ? undefined : await answer.json().catch(() => undefined);
  if (answer.ok) return body;
  if (answer.status === 401 && path !== sessionPath) dispatchEvent(new Event(unauthorized));
  throw Object.assign(new Error(body?.error?.message ?? `status ${answer.status}`), failureOf(answer, body));
}

/**
 * The error of a response, with the time after which to try again.
 * @param {Response} answer @param {any} body @returns {{ code?: string, message?: string, retryAfterMs?: number }}
 */
export function failureOf({ status, headers }, body) {
  const seconds = Number(headers.get('retry-after'));
  const { code, message } = body?.error ?? {};
  return {
    ...{ code: code ?? `HTTP_${status}`, message: message ?? `status ${status}` },
    ...(seconds > 0 && { retryAfterMs: seconds * 1000 }),
  };
}

const sessionPath = 'ui/session';

/**
 * The user of this page.
 * @typedef {object} User
 * @property {string} id
 * @property {readonly string[]} scopes
 * @property {Readonly<Record<string, { limit: number, left: number, resetMs?: number }>>} limits what is left of them
 */

/** The user; null in an open server, which takes users at their word. @returns {Promise<User | null>} */
export async function me() {
  const { user_id: id, scopes = [], limits = {} } = await ask('me');
  return typeof id === 'string' ? { id, scopes, limits } : null;
}

/** Sets the session cookie of this browser. @param {string} token @returns {Promise<string>} the user */
export async function signIn(token) {
  const headers = { 'content-type': 'application/json' };
  const { user_id: id } = await ask(sessionPath, {
    method: 'POST',
    headers,
    body: JSON.stringify({ token }),
  });
  return id;
}

/** Ends the session of this browser. */
export async function signOut() {
  await ask(sessionPath, { method: 'DELETE' });
}

/** Endpoints of this server by name. @returns {Promise<Readonly<Record<string, string>>>} */
export async function endpoints() {
  return (await ask('.')).endpoints ?? {};
}

/** @returns {Promise<readonly AgentStatus[]>} */
export async function agents() {
  return (await ask('agents')).agents;
}
