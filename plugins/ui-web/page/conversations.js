import { shortened } from './steps.js';
import { forget, namesOf, recall, remember } from './storage.js';
import { words } from './words.js';

/**
 * @typedef {object} Message
 * @property {'user' | 'assistant'} role
 * @property {string} content
 * @property {string} [thinking]
 * @property {import('./steps.js').Step[]} [steps] in the order of the answer
 * @property {string} [agent] that answered
 * @property {Choice} [choice] requested agent and model
 * @property {string} [note] statistics of the answer
 * @property {{ code?: string, message?: string, retryAfterMs?: number }} [error]
 * @property {boolean} [stopped] by the user
 * @property {boolean} [cut] off at the limit of its length
 * @property {{ requestId: string, streamId?: string, replaces?: number }} [pending] ids to resume an incomplete answer;
 *   `replaces`: the number of the question whose place it takes
 * @property {number} [number] of a question on the server
 * @property {number} [at] when it was asked, in milliseconds since 1970
 * @property {readonly number[]} [versions] of a question: times of the other versions from here on
 * @property {readonly string[]} [images] of a question, as data URLs
 * @property {boolean} [lost] by the server: a model will not know of it
 *
 * @typedef {object} Choice
 * @property {string | undefined} [agent]
 * @property {string | undefined} [model]
 * @property {number | undefined} [temperature]
 * @property {number | undefined} [maxTokens]
 *
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} title
 * @property {number} updatedAt milliseconds since 1970
 * @property {boolean} [pending] the last answer is incomplete
 * @property {number} [known] number of messages on the server
 * @property {boolean} [pinned]
 */

const maxConversations = 100;
const titleLength = 80;

/** Conversations stored in this browser, newest first. */
export class Conversations {
  /** @type {Entry[]} */
  #entries = [];

  constructor() {
    this.read();
  }

  get entries() {
    return this.#entries;
  }

  /** Reloads the stored entries, which another tab may have changed. */
  read() {
    const entries = recall('conversations');
    this.#entries = Array.isArray(entries) ? entries : [];
  }

  /** @param {string} id */
  find(id) {
    return this.#entries.find((entry) => entry.id === id);
  }

  /** @param {string} id @returns {Message[]} */
  messages(id) {
    const messages = recall(`messages:${id}`);
    return Array.isArray(messages) ? messages : [];
  }

  /** Stores the messages of a conversation. With news it becomes the newest. @param {string} id @param {readonly Message[]} messages */
  keep(id, messages, isNews = true) {
    this.read();
    const first = messages.find(({ role }) => role === 'user')?.content ?? '';
    const pending = messages.at(-1)?.pending !== undefined;
    const before = this.find(id);
    const updatedAt = isNews || !before ? Date.now() : before.updatedAt;
    this.#put({ ...before, id, title: before?.title || titleOf(first), updatedAt, pending });
    this.#makeRoom(
      id,
      () => remember('conversations', this.#entries) && remember(`messages:${id}`, shortened(messages)),
    );
  }

  /** Merges the list of the server. @param {readonly { id: string, title: string, updatedAt: number, known: number }[]} listed */
  merge(listed) {
    this.read();
    for (const { id, title, updatedAt, known } of listed) {
      const before = this.find(id);
      const pending = before?.pending ?? false;
      this.#put({
        ...before,
        id,
        title: title ? titleOf(title) : before?.title || titleOf(''),
        updatedAt,
        pending,
        known,
      });
    }
  }

  /** Changes an entry of the list. @param {string} id @param {Partial<Entry>} change */
  change(id, change) {
    this.read();
    const before = this.find(id);
    if (before) this.#put({ ...before, ...change });
  }

  /**
   * The same where the server decides: other devices may have deleted some. The one that is open stays, as forgotten.
   * @param {Parameters<Conversations['merge']>[0]} listed @param {string} [openId]
   */
  follow(listed, openId) {
    const ids = new Set([openId, ...listed.map(({ id }) => id)]);
    const gone = this.#entries.filter(
      ({ id, known, pending }) => known !== undefined && !pending && !ids.has(id),
    );
    for (const { id } of gone) this.remove(id);
    this.merge(listed);
  }

  /** @param {string} id */
  remove(id) {
    this.read();
    this.#entries = this.#entries.filter((entry) => entry.id !== id);
    forgetAbout(id);
    remember('conversations', this.#entries);
  }

  /** @param {Entry} entry */
  #put(entry) {
    const others = this.#entries.filter(({ id }) => id !== entry.id);
    const all = [entry, ...others].sort((a, b) => b.updatedAt - a.updatedAt);
    this.#entries = all.slice(0, maxConversations);
    for (const { id } of all.slice(maxConversations)) forgetAbout(id);
    remember('conversations', this.#entries);
  }

  /** Writes, dropping the oldest messages when the storage is full. @param {string} id @param {() => boolean} write */
  #makeRoom(id, write) {
    const stored = new Set(namesOf('messages:'));
    const oldest = this.#entries.map((entry) => entry.id).reverse();
    while (!write()) {
      const next = oldest.find((each) => each !== id && stored.has(`messages:${each}`));
      if (next === undefined) return;
      forget(`messages:${next}`);
      stored.delete(`messages:${next}`);
    }
  }
}

/** @param {string} id */
function forgetAbout(id) {
  for (const name of ['messages', 'draft', 'choice']) forget(`${name}:${id}`);
}

// Invisible characters that change the direction of surrounding text.
const controls = /[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The first line of a text, cut between words. @param {string} text */
export function titleOf(text) {
  const line = firstLineOf(text).replace(controls, '').trim();
  if (line.length <= titleLength) return line || words.conversation;
  // Do not split a character.
  const cut = line.slice(0, titleLength).replace(/[\ud800-\udbff]$/, '');
  return `${cut.slice(0, cut.lastIndexOf(' ') > 40 ? cut.lastIndexOf(' ') : titleLength)}…`;
}

/** @param {string} text */
function firstLineOf(text) {
  const trimmed = text.trimStart();
  const end = trimmed.indexOf('\n');
  return (end < 0 ? trimmed : trimmed.slice(0, end)).slice(0, 2 * titleLength);
}
