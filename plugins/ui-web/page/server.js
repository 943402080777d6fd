/** The root of this server, which a proxy may serve below a path. */
export const root = new URL('../../../', import.meta.url);

/**
 * @typedef {object} AgentStatus
 * @property {string} name
 * @property {string} [description]
 * @property {boolean} healthy
 * @property {string} [detail]
 * @property {readonly string[]} [models]
 */

/** Requests JSON. @param {string} path from the root on, @param {RequestInit} [options] @returns {Promise<any>} */
export async function ask(path, options = {}) {
  const answer = await fetch(new URL(path, root), { ...options, signal: AbortSignal.timeout(15_000) });
  const body = answer.status === 204 ? undefined : await answer.json().catch(() => undefined);
  if (!answer.ok)
    throw Object.assign(new Error(body?.error?.message ?? `status ${answer.status}`), body?.error);
  return body;
}

/** Endpoints of this server by name. @returns {Promise<Readonly<Record<string, string>>>} */
export async function endpoints() {
  return (await ask('.')).endpoints ?? {};
}

/** @returns {Promise<readonly AgentStatus[]>} */
export async function agents() {
  return (await ask('agents')).agents;
}

/** Conversations of one user on the server. */
export class ServerConversations {
  #user;

  /** @param {string} userId */
  constructor(userId) {
    this.#user = `user_id=${encodeURIComponent(userId)}`;
  }

  async list() {
    const { conversations } = await ask(`conversations?${this.#user}&limit=100`);
    return conversations.map((/** @type {any} */ each) => ({
      id: String(each.conversation_id),
      title: String(each.title ?? ''),
      updatedAt: new Date(each.updated_at).getTime() || 0,
      known: Number(each.messages) || 0,
    }));
  }

  /** @param {string} id @returns {Promise<import('./conversations.js').Message[]>} */
  async messages(id) {
    const { messages } = await ask(`conversations/${encodeURIComponent(id)}/messages?${this.#user}`);
    return messages
      .filter((/** @type {any} */ { role }) => role === 'user' || role === 'assistant')
      .flatMap((/** @type {any} */ { role, content, end }) => {
        const ended = { ...(end === 'cancelled' ? { stopped: true } : end && { error: {} }) };
        const message = { role, content: String(content) };
        if (role === 'assistant') return [{ ...message, ...ended }];
        // A question without an answer.
        return end ? [message, { role: 'assistant', content: '', ...ended }] : [message];
      });
  }

  /** @param {string} id */
  async remove(id) {
    await ask(`conversations/${encodeURIComponent(id)}?${this.#user}`, { method: 'DELETE' });
  }
}
