import { inputOf } from './steps.js';
import { count, words } from './words.js';

/**
 * @typedef {import('./conversations.js').Message} Message
 * @typedef {import('./steps.js').CallStep} CallStep
 *
 * A message as the server stores it.
 * @typedef {object} Stored
 * @property {string} role
 * @property {unknown} content
 * @property {number} [number]
 * @property {number} [at] milliseconds since 1970
 * @property {readonly string[]} [images]
 * @property {readonly { id: string, name: string, arguments: unknown }[]} [tool_calls]
 * @property {string} [tool_call_id]
 * @property {{ agent: string, model?: string, usage?: { outputTokens?: number } }} [answered]
 * @property {string} [end] how its turn has ended, if it is not complete
 * @property {{ code: string, message: string }} [failure] why
 * @property {readonly number[]} [versions] times of other versions from here on
 */

/**
 * Questions and answers of a stored conversation, as a model will hear them: without the turns that were refused. Each turn of
 * a model that used tools is a message there, and part of one answer here.
 * @param {readonly Stored[]} stored
 */
export function answersOf(stored) {
  /** @type {Message[]} */
  const messages = [];
  for (const each of stored) {
    const { role, content, end, answered } = each;
    if (role === 'user') messages.push(questionOf(each));
    else if (role === 'assistant') {
      const answer = answerAt(messages);
      for (const call of each.tool_calls ?? []) noteCall(answer, call, String(content));
      answer.content += String(content);
      if (answered) Object.assign(answer, originOf(answered));
    } else if (role === 'tool') noteResult(answerAt(messages), each);
    if (end === 'refused') messages.splice(messages.findLastIndex((message) => message.role === 'user'));
    // A question may have no answer.
    else if (end && role !== 'system') Object.assign(answerAt(messages), outcomeOf(end, each.failure));
  }
  return messages;
}

/** @param {Stored} stored @returns {Message} */
function questionOf({ content, number, at, images, versions }) {
  return {
    ...{ role: 'user', content: String(content) },
    ...(number !== undefined && { number }),
    ...(at !== undefined && { at }),
    ...(images && { images: [...images] }),
    ...(versions && { versions }),
  };
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

/** @param {Message} answer @param {{ id: string, name: string, arguments: unknown }} call @param {string} text before it */
function noteCall(answer, { id, name, arguments: input }, text) {
  answer.steps ??= [];
  const at = answer.content.length + text.length;
  answer.steps.push({ type: 'call', at, id, name, input: inputOf(argumentsOf(String(input))) });
}

/** @param {string} text of a model, which may be no JSON */
function argumentsOf(text) {
  try {
    return { arguments: JSON.parse(text) };
  } catch {
    return { argumentsText: text };
  }
}

/** @param {Message} answer @param {Stored} result */
function noteResult(answer, { tool_call_id: id, content }) {
  const call = answer.steps?.find(
    /** @returns {step is CallStep} */ (step) => step.type === 'call' && step.id === id,
  );
  if (call) Object.assign(call, { output: String(content), durationMs: 0 });
}

/** @param {NonNullable<Stored['answered']>} answered @returns {Partial<Message>} */
function originOf({ agent, model, usage }) {
  const tokens = usage?.outputTokens;
  const note = [model, tokens !== undefined && words.tokens(count(tokens))].filter(Boolean).join(' · ');
  return { agent, ...(note && { note }) };
}

/** @param {string} end @param {Message['error']} [failure] @returns {Partial<Message>} */
function outcomeOf(end, failure = {}) {
  return end === 'cancelled' ? { stopped: true } : { error: failure };
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

/**
 * The messages that the server has, as far as they are known as the same objects, with what only the page knows of them. What
 * the server has lost stays, and so does a last turn that has failed before the server had it.
 * @param {Message[]} found @param {Message[]} shown
 */
export function merged(found, shown) {
  const others = shown.filter((message) => !message.lost);
  const all = found.map((message, index) => {
    const before = others[index];
    return before && isSame(message, before) ? adopt(before, message) : message;
  });
  const isFailed = others.at(-1)?.error !== undefined && found.length === others.length - 2;
  if (isFailed && all.every((message, index) => message === others[index]))
    for (const message of others.splice(-2)) message.lost = true;
  // Each lost message stays behind as many others as before.
  let at = 0;
  for (const message of shown) {
    if (message.lost) all.splice(Math.min(at, all.length), 0, message);
    at++;
  }
  return all;
}

/** @param {Message} message @param {Message | undefined} other */
function isSame({ role, content }, other) {
  return role === other?.role && content === other.content;
}

/** Takes over what the server knows of a message. @param {Message} message @param {Message} found */
function adopt(message, { number, at, versions, stopped, error, agent, note, steps, images }) {
  if (number !== undefined) message.number = number;
  if (at !== undefined) message.at = at;
  if (images) message.images = images;
  if (versions) message.versions = versions;
  else delete message.versions;
  if (message.role === 'user') return message;
  if (stopped) message.stopped = true;
  if (error) message.error ??= error;
  message.agent ??= /** @type {string} */ (agent);
  if (agent === undefined && message.agent === undefined) delete message.agent;
  if (note) message.note ??= note;
  if (steps) message.steps ??= steps;
  return message;
}
