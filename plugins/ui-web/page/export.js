import { words } from './words.js';

/** @typedef {import('./conversations.js').Message} Message */

/** A conversation as lines of an export, which a server takes back. @param {string} id @param {string} title @param {readonly Message[]} messages */
export function linesOf(id, title, messages) {
  return messages
    .filter(({ content, pending }) => content !== '' && !pending)
    .map((message, index) =>
      JSON.stringify(lineOf(message, { conversation_id: id, ...(index === 0 && { title }) })),
    )
    .join('\n');
}

/** @param {Message} message @param {object} first */
function lineOf({ role, content, stopped, error, images, at }, first) {
  return {
    ...{ ...first, role, content },
    ...(stopped && { end: 'cancelled' }),
    ...(error && { end: 'failed' }),
    ...(images && { images }),
    ...(at !== undefined && { at }),
  };
}

/** A conversation as one text. @param {string} title @param {readonly Message[]} messages */
export function markdownOf(title, messages) {
  const parts = messages.map(({ role, content, agent, stopped, error }) => {
    const who = role === 'user' ? words.you : agent ? words.answerBy(agent) : words.answer;
    const end = stopped ? `\n\n*${words.stopped}*` : error ? `\n\n*${words.answerFailed}*` : '';
    return `## ${who}\n\n${content}${end}`;
  });
  return `# ${title}\n\n${parts.join('\n\n')}\n`;
}
