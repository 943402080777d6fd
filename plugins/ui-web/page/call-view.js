import { ApprovalView } from './approval-view.js';
import { element } from './elements.js';
import { milliseconds } from './figures.js';
import { cut } from './steps.js';
import { words } from './words.js';

/**
 * @typedef {import('./steps.js').CallStep} CallStep
 * @typedef {import('./approval-view.js').Decide} Decide
 */

/** Characters of a text that are drawn. */
const shownChars = 100_000;
const nameChars = 128;

/** A tool call: folded, with its name and state; inside, its arguments and its result. */
export class CallView {
  element = element('div', { className: 'step call' });
  #step;
  #state = element('span', { className: 'how' });
  #summary;
  #inside = element('div', { className: 'inside' });
  #fold;
  /** @type {ApprovalView | undefined} */
  #approval;
  #who;

  /** @param {CallStep} step @param {(by: string) => string} who the name of a user */
  constructor(step, who) {
    this.#step = step;
    this.#who = who;
    const name = element('code', { className: 'name', dir: 'auto' }, shortName(step));
    this.#summary = element('summary', {}, name, ' ', this.#state);
    this.#fold = element('details', {}, this.#summary, this.#inside);
    // Most are never unfolded.
    this.#fold.addEventListener('toggle', () => this.#fill());
    this.element.append(this.#fold);
  }

  /** @param {boolean} isLive whether its answer is still coming @param {Decide} [decide] if it may be decided here */
  show(isLive, decide) {
    const { how, said } = stateOf(this.#step, isLive);
    this.#state.dataset.how = how;
    this.#state.textContent = said;
    this.#fill();
    const { question } = this.#step;
    if (!question) return;
    if (!this.#approval) {
      this.#approval = new ApprovalView(shortName(this.#step), this.#who);
      this.element.append(this.#approval.element);
    }
    const wasFocused = this.#approval.element.contains(document.activeElement);
    this.#approval.show(this.#step.input, question, isLive, decide);
    // The button that was pressed is gone.
    if (wasFocused && !this.#approval.element.contains(document.activeElement)) this.#summary.focus();
  }

  #fill() {
    if (!this.#fold.open) return;
    const { input, output, error } = this.#step;
    this.#inside.replaceChildren(
      ...part(words.arguments, input === '' || input === '{}' ? words.noArguments : input),
      ...(output === undefined ? [] : part(words.result, output)),
      ...(error === undefined ? [] : part(words.error, error)),
    );
  }
}

/** The name of a tool. A model may make up any. @param {CallStep} step */
export function shortName({ name }) {
  return cut(name, nameChars);
}

/** @param {CallStep} step @param {boolean} isLive @returns {{ how: string, said: string }} */
function stateOf({ error, durationMs, question }, isLive) {
  // Another browser knows that it is over, not how long it took.
  const took = !durationMs ? '' : ` · ${milliseconds(durationMs)}`;
  if (question?.allow === false) return { how: 'denied', said: words.call.denied };
  if (error !== undefined) return { how: 'failed', said: `${words.call.failed}${took}` };
  if (durationMs !== undefined) return { how: 'done', said: `${words.call.done}${took}` };
  if (!isLive) return { how: 'left', said: words.call.left };
  if (question && question.allow === undefined) return { how: 'asked', said: words.call.asked };
  return { how: 'running', said: words.call.running };
}

/** @param {string} title @param {string} text */
function part(title, text) {
  const shown = element('pre', { tabIndex: 0, role: 'group', 'aria-label': title }, cut(text, shownChars));
  return [element('p', { className: 'title' }, title), shown];
}
