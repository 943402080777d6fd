/**
 * @typedef {import('./conversations.js').Message} Message
 *
 * A message as the server stores it.
 * @typedef {object} Stored
 * @property {string} role
 * @property {unknown} content
 * @property {string} [end] how its turn has ended, if it is not complete
 */

/** Questions and answers of a stored conversation. Each turn of a model that used tools is a message there, and part of one answer here. @param {readonly Stored[]} stored */
export function answersOf(stored) {
  /** @type {Message[]} */
  const messages = [];
  for (const { role, content, end } of stored) {
    if (role === 'user') messages.push({ role, content: String(content) });
    else if (role === 'assistant') answerAt(messages).content += String(content);
    // A question may have no answer.
    if (end && role !== 'system') Object.assign(answerAt(messages), outcomeOf(end));
  }
  return messages;
}

/** The answer at the end. @param {Message[]} messages */
function answerAt(messages) {
  const last = messages.at(-1);
  if (last?.role === 'assistant') return last;
  /** @type {Message} */
  const answer = { role: 'assistant', content: '' };
  messages.push(answer);
  return answer;
}

/** @param {string} end @returns {Partial<Message>} */
function outcomeOf(end) {
  return end === 'cancelled' ? { stopped: true } : { error: {} };
}

/**
 * Messages without the last turn, if it is that of an answer that runs.
 * @param {Message[]} all @param {string} question @param {string} [answer] so far
 */
export function withoutTurn(all, question, answer = '') {
  const last = all.at(-1);
  if (last?.role === 'user') return last.content === question ? all.slice(0, -1) : all;
  const isTurn = answer !== '' && all.at(-2)?.content === question && last?.content.startsWith(answer);
  return isTurn ? all.slice(0, -2) : all;
}

/** Whether the server has more than this page, or other messages. @param {Message[]} found @param {Message[]} shown */
export function isNewer(found, shown) {
  const isSame = (/** @type {Message} */ { role, content }, /** @type {number} */ index) =>
    role === shown[index]?.role && content === shown[index]?.content;
  return found.length > shown.length || (found.length === shown.length && !found.every(isSame));
}
