import { AgentLine, inWords, isAtWork } from './agent-line.js';
import { decisionOf } from './approval-view.js';
import { CallView, shortName } from './call-view.js';
import { element } from './elements.js';
import { LiveMarkdown } from './live-markdown.js';
import { words } from './words.js';

/**
 * @typedef {import('./steps.js').Step} Step
 * @typedef {import('./steps.js').CallStep} CallStep
 * @typedef {import('./steps.js').AgentStep} AgentStep
 *
 * @typedef {object} Surroundings
 * @property {(text: string) => void} announce to screen readers
 * @property {(by: string) => string} who the name of a user
 * @property {(block: HTMLElement[]) => void} settled called for each complete block of text
 * @property {() => void} late called after content that appears some time later
 */

/** The pieces of text of an answer and the steps between them, as they came. */
export class AnswerParts {
  element = element('div', { className: 'parts' });
  #message;
  #around;
  /** The run of an answer that is coming here. @type {import('./run.js').Run | undefined} */
  #run;
  /** The last part, if it is a text. @type {LiveMarkdown | undefined} */
  #text;
  /** White space that is no text by itself. */
  #space = '';
  /** @type {Map<CallStep, CallView>} */
  #calls = new Map();
  /** @type {Map<AgentStep, AgentLine>} */
  #agents = new Map();

  /** What screen readers were told last of a step. @type {Map<Step, string>} */
  #said = new Map();
  #speaks = false;

  /** @param {import('./conversations.js').Message} message @param {Surroundings} around */
  constructor(message, around) {
    this.#message = message;
    this.#around = around;
  }

  get isEmpty() {
    return !this.element.hasChildNodes();
  }

  /** Whether the last part is a step that is over. */
  get isBetween() {
    if (this.isEmpty || this.#text) return false;
    const isBusy = (/** @type {CallStep} */ { durationMs }) => durationMs === undefined;
    return ![...this.#calls.keys()].some(isBusy) && ![...this.#agents.keys()].some(isAtWork);
  }

  /** Shows what has come so far. With a run it goes on. @param {import('./run.js').Run} [run] */
  begin(run) {
    const { content, steps = [] } = this.#message;
    this.#run = run;
    let from = 0;
    for (const step of steps) {
      this.#whole(content.slice(from, step.at));
      from = Math.max(from, step.at);
      this.step(step);
    }
    this.#speaks = run !== undefined;
    const rest = content.slice(from);
    if (run) this.append(rest);
    else this.#whole(rest);
  }

  /** @param {string} text */
  append(text) {
    const all = this.#space + text;
    this.#space = '';
    if (this.#text) this.#text.append(text);
    else if (all.trim() === '') this.#space = all;
    else this.#newText().append(all);
  }

  /** A step that is new or has changed. @param {Step} step */
  step(step) {
    if (!this.#has(step)) this.#closeText();
    if (step.type === 'agent') this.#agent(step);
    else this.#call(step);
    this.#announce(step);
  }

  /** Tells screen readers of a step, once of each thing that they have to know. @param {Step} step */
  #announce(step) {
    const words = this.#sayingOf(step);
    if (words === '' || this.#said.get(step) === words) return;
    this.#said.set(step, words);
    if (this.#speaks) this.#around.announce(words);
  }

  /** @param {Step} step */
  #sayingOf(step) {
    if (step.type === 'agent') {
      const isOver = step.via === 'consult' && step.state === 'ended';
      return isOver ? '' : `${inWords(step, true)}.`;
    }
    const { id, question, durationMs, error } = step;
    const name = shortName(step);
    if (this.#run?.asks.has(id)) return words.callAsks(name);
    if (question?.allow !== undefined)
      return durationMs === undefined ? `${name}: ${decisionOf(question, this.#around.who)}` : '';
    return error === undefined ? '' : words.callFailed(name);
  }

  /** The answer goes on no more here. */
  finish() {
    this.#closeText();
    this.#run = undefined;
    for (const step of this.#calls.keys()) this.#call(step);
    for (const step of this.#agents.keys()) this.#agent(step);
  }

  /** Whether the answer is still coming, here or elsewhere. */
  get #isLive() {
    return this.#message.pending !== undefined;
  }

  /** @param {Step} step */
  #has(step) {
    return step.type === 'agent' ? this.#agents.has(step) : this.#calls.has(step);
  }

  /** @param {CallStep} step */
  #call(step) {
    let view = this.#calls.get(step);
    if (!view) {
      view = new CallView(step, this.#around.who);
      this.#calls.set(step, view);
      this.element.append(view.element);
    }
    const run = this.#run;
    // Only what the server has asked of this connection can be answered over it.
    const mayDecide = run?.asks.has(step.id);
    view.show(this.#isLive, mayDecide ? (allow, reason) => run?.approve(step.id, allow, reason) : undefined);
  }

  /** @param {AgentStep} step */
  #agent(step) {
    let line = this.#agents.get(step);
    if (!line) {
      line = new AgentLine();
      this.#agents.set(step, line);
      this.element.append(line.element);
    }
    line.show(step, this.#isLive);
  }

  #newText() {
    const { settled, late } = this.#around;
    this.#text = new LiveMarkdown({ settled, late });
    this.element.append(this.#text.element);
    return this.#text;
  }

  /** A text that has come to its end. @param {string} text */
  #whole(text) {
    if (text.trim() === '') return;
    this.#newText().finish(text);
    this.#text = undefined;
  }

  #closeText() {
    this.#text?.finish();
    this.#text = undefined;
    this.#space = '';
  }
}
