import { AnswerParts } from './answer-parts.js';
import { copyFrom } from './clipboard.js';
import { element } from './elements.js';
import { inPlainWords } from './plain-words.js';

/**
 * @typedef {import('./conversations.js').Message} Message
 * @typedef {import('./run.js').Run} Run
 *
 * @typedef {object} Surroundings
 * @property {(text: string) => void} announce to screen readers
 * @property {(by: string) => string} who the name of a user
 * @property {() => void} grew called when the view has grown
 * @property {(message: Message) => void} retry sends the question again
 */

/** A question of the user. @param {Message} message */
export function questionView({ content }) {
  return element(
    'article',
    { className: 'question' },
    element('h2', { className: 'unseen' }, 'You'),
    element('div', { className: 'bubble', dir: 'auto' }, content),
  );
}

/** An answer, complete or in progress. */
export class AnswerView {
  element = element('article', { className: 'answer' });
  #message;
  #run;
  #around;
  #parts;
  /** True while new blocks are announced. */
  #speaks = false;
  #thinking = element('div', { className: 'thoughts', dir: 'auto' });
  #thinkingTitle = element('summary', {}, 'Thinking');
  #thinkingBox = element(
    'details',
    { className: 'thinking', hidden: true },
    this.#thinkingTitle,
    this.#thinking,
  );
  #state = element('p', { className: 'state' });
  #footer = element('footer');
  #heading = element('h2', { className: 'unseen' }, 'Answer');
  /** @type {import('./run.js').Watcher} */
  #watcher;

  /** @param {Message} message @param {Run | undefined} run @param {Surroundings} around */
  constructor(message, run, around) {
    this.#message = message;
    this.#run = run;
    this.#around = around;
    this.#parts = new AnswerParts(message, {
      ...{ announce: around.announce, who: around.who, late: () => around.grew() },
      settled: (block) => this.#spoken(block),
    });
    this.element.append(this.#heading, this.#thinkingBox, this.#parts.element, this.#state, this.#footer);
    this.#watcher = {
      grew: (type, content) => this.#grow(type, content),
      stepped: (step) => {
        this.#parts.step(step);
        this.#changed();
      },
      queued: () => this.#showState(),
      ended: () => this.#end(),
    };
    if (message.thinking) this.#grow('thinking', message.thinking);
    const isLive = run !== undefined && !run.ended;
    this.#parts.begin(isLive ? run : undefined);
    if (isLive) {
      if (!this.#parts.isEmpty) this.#thinkingTitle.textContent = 'Thoughts';
      run.watchers.add(this.#watcher);
      this.#speaks = true;
      this.#showState();
    } else this.#end();
  }

  /** Detaches the view from its run. */
  leave() {
    this.#run?.watchers.delete(this.#watcher);
  }

  /** @param {'text' | 'thinking'} type @param {string} content */
  #grow(type, content) {
    if (type === 'thinking') {
      this.#thinkingBox.hidden = false;
      this.#thinking.append(content);
    } else {
      if (this.#parts.isEmpty) this.#thinkingTitle.textContent = 'Thoughts';
      this.#parts.append(content);
    }
    this.#changed();
  }

  #changed() {
    this.#showState();
    this.#around.grew();
  }

  /** Announces a complete block. @param {HTMLElement[]} block */
  #spoken(block) {
    if (!this.#speaks) return;
    for (const each of block)
      this.#around.announce(each.matches('.code') ? 'A block of code.' : (each.textContent ?? ''));
  }

  #showState() {
    const run = this.#run;
    const text = !run || run.ended ? '' : stateOf(run, this.#parts, !this.#thinkingBox.hidden);
    if (this.#state.textContent !== text) this.#state.textContent = text;
    this.#state.hidden = text === '';
    // Screen readers may pass over what is busy, and so over what they are asked.
    const isBusy = run !== undefined && !run.ended && run.asks.size === 0;
    if (!isBusy) this.element.removeAttribute('aria-busy');
    else if (!this.element.hasAttribute('aria-busy')) this.element.setAttribute('aria-busy', 'true');
  }

  #end() {
    const { content, thinking, agent, error, stopped, pending } = this.#message;
    this.#parts.finish();
    this.#speaks = false;
    if (agent) this.#heading.textContent = `Answer by ${agent}`;
    if (thinking) this.#thinkingTitle.textContent = 'Thoughts';
    this.#showState();
    if (pending) return;
    const copy = element(
      'button',
      { type: 'button', className: 'quiet', 'aria-label': 'Copy answer' },
      'Copy',
    );
    copy.addEventListener('click', async () => this.#around.announce(await copyFrom(copy, content)));
    const note = [agent, this.#message.note, stopped && 'stopped'].filter(Boolean).join(' · ');
    this.#footer.replaceChildren(element('span', { className: 'note' }, note), ...(content ? [copy] : []));
    if (error) this.#footer.before(this.#failure(error));
    this.#around.grew();
  }

  /** @param {NonNullable<Message['error']>} error */
  #failure(error) {
    const retry = element('button', { type: 'button' }, 'Try again');
    retry.addEventListener('click', () => this.#around.retry(this.#message));
    return element('div', { className: 'failure' }, element('p', {}, inPlainWords(error)), retry);
  }
}

/** State of a run that does not show it by itself. @param {Run} run @param {AnswerParts} parts @param {boolean} thinks */
function stateOf({ ahead, stopping }, parts, thinks) {
  if (stopping) return 'Stopping';
  if (parts.isBetween) return 'Working';
  if (!parts.isEmpty) return '';
  if (thinks) return 'Thinking';
  if (ahead > 0) return ahead === 1 ? 'Waiting: one ahead of you' : `Waiting: ${ahead} ahead of you`;
  return 'Waiting for the first word';
}
