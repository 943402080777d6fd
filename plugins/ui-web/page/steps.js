import { count, words } from './words.js';

/**
 * @typedef {import('./conversations.js').Message} Message
 * @typedef {Exclude<import('waggle-server/client').Chunk, { readonly content: string }>} StepChunk
 *
 * A call of a tool. It has ended once it has a duration.
 * @typedef {object} CallStep
 * @property {'call'} type
 * @property {number} at characters of the answer's text before it
 * @property {string} id
 * @property {string} name
 * @property {string} input its arguments
 * @property {string} [output]
 * @property {string} [error]
 * @property {number} [durationMs]
 * @property {Question} [question]
 *
 * Whether a call may be run. It is open without `allow`.
 * @typedef {object} Question
 * @property {number} until milliseconds since 1970
 * @property {boolean} [allow]
 * @property {string} [by] absent if the time was over
 *
 * An agent that works for another one.
 * @typedef {object} AgentStep
 * @property {'agent'} type
 * @property {number} at
 * @property {number} place the same with the thoughts
 * @property {string} agent
 * @property {'consult' | 'handover'} via
 * @property {'started' | 'ended' | 'failed'} state
 * @property {string} parent
 * @property {boolean} [nested] the parent is not the one that answers
 *
 * @typedef {CallStep | AgentStep} Step
 */

/** Characters of one text, and of all texts of one answer, that are stored. */
const storedChars = 4000;
const storedCharsOfAll = 100_000;
// They are not seen, or change what is seen around them.
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Writes a step into its answer. Undefined if nothing is new: a server repeats to a reader that resumes.
 * @param {Message} message
 * @param {StepChunk} chunk
 * @returns {Step | undefined} the step that is new or has changed
 */
export function noteStep(message, chunk) {
  if (chunk.type === 'agent') return noteAgent(message, chunk);
  const call = callOf(message, chunk.id);
  if ('name' in chunk) call.name = chunk.name;
  switch (chunk.type) {
    case 'approval_required':
      call.question ??= { until: Date.now() + chunk.expiresInMs };
      call.input = inputOf(chunk);
      break;
    case 'tool_call':
      call.input = inputOf(chunk);
      break;
    case 'approval_resolved':
      call.question = {
        ...{ until: 0, ...call.question, allow: chunk.allow },
        ...(chunk.by !== undefined && { by: chunk.by }),
      };
      break;
    case 'tool_result':
      call.durationMs = chunk.durationMs;
      if (chunk.error) call.error = `${chunk.error.code}: ${chunk.error.message}`;
      else call.output = textOf(chunk.output);
  }
  return call;
}

/** Whether another agent than the first one speaks at the end of an answer. @param {Message} message */
export function wasHandedOver({ steps = [] }) {
  return steps.some((step) => step.type === 'agent' && step.via === 'handover' && step.state !== 'failed');
}

/** Whether it is not decided if a step may be taken. @param {Step} step */
export function isAsked(step) {
  return step.type === 'call' && step.question !== undefined && step.question.allow === undefined;
}

/** Changes when a question or a step is added, decided or over, and when an answer ends; not with each piece of text. @param {readonly Message[]} messages */
export function progressOf(messages) {
  const { pending, steps = [] } = messages.at(-1) ?? {};
  const all = steps.map((step) => (step.type === 'agent' ? step.state : [step.durationMs, step.question]));
  return JSON.stringify([messages.length, pending === undefined, all]);
}

/** The messages with the beginnings of long texts of tools, which would take the room of other conversations. @param {readonly Message[]} messages */
export function shortened(messages) {
  return messages.map((message) => {
    if (!message.steps) return message;
    let left = storedCharsOfAll;
    /** @param {string} text */
    const short = (text) => {
      const kept = cut(text, Math.min(storedChars, left));
      left = Math.max(0, left - kept.length);
      return kept;
    };
    const steps = message.steps.map((step) => {
      if (step.type === 'agent') return step;
      // What is to be decided is stored as it is.
      const input = isAsked(step) ? step.input : short(step.input);
      return { ...step, input, ...(step.output !== undefined && { output: short(step.output) }) };
    });
    return { ...message, steps };
  });
}

/** The beginning of a long text, which says so. @param {string} text @param {number} chars */
export function cut(text, chars) {
  if (text.length <= chars) return text;
  // Do not split a character.
  const beginning = text.slice(0, chars).replace(/[\ud800-\udbff]$/, '');
  return `${beginning}\n${words.beginning(count(chars), count(text.length))}`;
}

/** @param {Message} message @param {string} id @returns {CallStep} */
function callOf(message, id) {
  message.steps ??= [];
  for (const step of message.steps) if (step.type === 'call' && step.id === id) return step;
  /** @type {CallStep} */
  const call = { type: 'call', at: message.content.length, id, name: '', input: '' };
  message.steps.push(call);
  return call;
}

/** @param {Message} message @param {Extract<StepChunk, { type: 'agent' }>} chunk @returns {AgentStep | undefined} */
function noteAgent(message, { agent, via, state, parent }) {
  message.steps ??= [];
  const at = message.content.length;
  const place = at + (message.thinking?.length ?? 0);
  const same = message.steps.filter(
    /** @returns {step is AgentStep} */
    (step) => step.type === 'agent' && step.agent === agent && step.via === via && step.parent === parent,
  );
  const isKnown = (/** @type {AgentStep} */ step) =>
    state === 'started' ? step.place === place : step.state === state && step.place === place;
  let step = state === 'started' ? undefined : same.findLast((each) => each.state === 'started');
  if (!step && same.some(isKnown)) return undefined;
  if (step) step.state = state;
  else {
    const nested = message.agent !== undefined && parent !== message.agent;
    step = { type: 'agent', at, place, agent, via, state, parent, ...(nested && { nested }) };
    message.steps.push(step);
  }
  if (via === 'handover' && state === 'started') message.agent = agent;
  // It has not said a word.
  if (via === 'handover' && state === 'failed' && step.at === at) message.agent = parent;
  return step;
}

/** The arguments of a call as text that shows what it hides. @param {{ readonly arguments?: unknown, readonly argumentsText?: string | undefined }} call */
export function inputOf({ arguments: input, argumentsText }) {
  return (argumentsText ?? JSON.stringify(input, null, 2) ?? '').replace(unseen, (character) =>
    character === '\n' || character === '\t' ? character : escaped(character),
  );
}

/** @param {string} character */
function escaped(character) {
  const code = /** @type {number} */ (character.codePointAt(0));
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** @param {unknown} output */
function textOf(output) {
  return typeof output === 'string' ? output : (JSON.stringify(output, null, 2) ?? '');
}
