import { ask, root } from './server.js';
import { answersOf } from './stored-answers.js';

/** @typedef {import('./conversations.js').Message} Message */

const pageSize = 100;
const importMs = 120_000;

/** Conversations of one user on the server. */
export class ServerConversations {
  #user;

  /** @param {string | undefined} userId that of the credentials when undefined */
  constructor(userId) {
    this.#user = userId === undefined ? '' : `user_id=${encodeURIComponent(userId)}`;
  }

  /** The latest ones; `whole` unless there may be more. */
  async list() {
    const { conversations } = await ask(`conversations?limit=${pageSize}&${this.#user}`);
    const listed = conversations.map((/** @type {any} */ each) => ({
      id: String(each.conversation_id),
      title: String(each.title ?? ''),
      updatedAt: new Date(each.updated_at).getTime() || 0,
      known: Number(each.messages) || 0,
    }));
    return { listed, whole: listed.length < pageSize };
  }

  /** @param {string} id @returns {Promise<Message[]>} */
  async messages(id) {
    const { messages } = await ask(this.#path(id, '/messages'));
    return answersOf(messages);
  }

  /** @param {string} id */
  async remove(id) {
    await ask(this.#path(id), { method: 'DELETE' });
  }

  /** @param {string} id @param {string} title @returns {Promise<string>} the title as the server has it */
  async rename(id, title) {
    const { title: taken } = await ask(this.#path(id), json('PATCH', { title }));
    return taken;
  }

  /** Deletes a question and its answer. @param {string} id @param {number} number of the question */
  async removeTurn(id, number) {
    await ask(this.#path(id, `/messages/${number}`), { method: 'DELETE' });
  }

  /** Shows another version of the conversation from a question on. @param {string} id @param {number} number of the question @param {number} at the time of that version */
  async showVersion(id, number, at) {
    await ask(this.#path(id, '/versions'), json('POST', { number, at }));
  }

  /** @param {string} text @returns {Promise<readonly { id: string, title: string, excerpt: string }[]>} */
  async search(text) {
    const { hits } = await ask(`conversations/search?limit=30&q=${encodeURIComponent(text)}&${this.#user}`);
    return hits.map((/** @type {any} */ { conversation_id: id, title, excerpt }) => ({ id, title, excerpt }));
  }

  /** Lines of an export. @param {string} id @returns {Promise<string>} */
  async export(id) {
    const answer = await fetch(new URL(this.#path(id, '/export'), root), {
      signal: AbortSignal.timeout(importMs),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return answer.text();
  }

  /** @param {string} lines of an export @returns {Promise<{ imported: readonly { conversation_id: string }[], skipped: readonly unknown[] }>} */
  async import(lines) {
    const headers = { 'content-type': 'text/plain' };
    return ask(`conversations/import?${this.#user}`, { method: 'POST', headers, body: lines }, importMs);
  }

  /** @param {string} id */
  #path(id, rest = '') {
    return `conversations/${encodeURIComponent(id)}${rest}?${this.#user}`;
  }
}

/** @param {string} method @param {object} body @returns {RequestInit} */
function json(method, body) {
  return { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
