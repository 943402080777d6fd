import { signal } from '@preact/signals';
import { announce } from './announcer.js';
import { AnswerParts } from './answer-parts.js';
import { element } from './elements.js';
import { scroller } from './scroller.js';
import { isSelf, user } from './state.js';
import { words } from './words.js';

/** @typedef {import('./conversations.js').Message} Message @typedef {import('./run.js').Run} Run */

/** What changes of an answer while it comes. */
export class LiveAnswer {
  thoughts = element('div', { className: 'thoughts', dir: 'auto' });
  thinks = signal(false);
  hasText = signal(false);
  /** Empty where the answer shows its state by itself. */
  state = signal('');
  isBusy = signal(false);
  isOver = signal(false);
  #message;
  #run;
  #parts;
  /** True while new blocks are announced. */
  #speaks = false;
  /** @type {import('./run.js').Watcher} */
  #watcher;

  /** @param {Message} message @param {Run | undefined} run */
  constructor(message, run) {
    this.#message = message;
    this.#run = run;
    this.#parts = new AnswerParts(message, {
      ...{ announce, who, late: () => scroller.grew() },
      settled: (block) => this.#spoken(block),
    });
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
    this.hasText.value = !this.#parts.isEmpty;
    if (isLive) {
      run.watchers.add(this.#watcher);
      this.#speaks = true;
      this.#showState();
    } else this.#end();
  }

  get parts() {
    return this.#parts.element;
  }

  /** Takes no part in the run any more. */
  leave() {
    this.#run?.watchers.delete(this.#watcher);
  }

  /** @param {'text' | 'thinking'} type @param {string} content */
  #grow(type, content) {
    if (type === 'thinking') {
      this.thinks.value = true;
      this.thoughts.append(content);
    } else {
      this.#parts.append(content);
      this.hasText.value = !this.#parts.isEmpty;
    }
    this.#changed();
  }

  #changed() {
    this.#showState();
    scroller.grew();
  }

  /** Announces a complete block. @param {HTMLElement[]} block */
  #spoken(block) {
    if (!this.#speaks) return;
    for (const each of block) announce(each.matches('.code') ? words.codeBlock : (each.textContent ?? ''));
  }

  #showState() {
    const run = this.#run;
    const isLive = run !== undefined && !run.ended;
    this.state.value = isLive ? stateOf(run, this.#parts, this.thinks.value) : '';
    // Screen readers may pass over what is busy, and so over what they are asked.
    this.isBusy.value = isLive && run.asks.size === 0;
  }

  #end() {
    this.#parts.finish();
    this.#speaks = false;
    this.hasText.value = true;
    this.#showState();
    this.isOver.value = this.#message.pending === undefined;
    scroller.grew();
  }
}

/** A user as this page calls them. @param {string} by */
function who(by) {
  if (isSelf(by)) return words.byYou;
  return user.value ? by : words.bySomebody;
}

/** State of a run that does not show it by itself. @param {Run} run @param {AnswerParts} parts @param {boolean} thinks */
function stateOf({ ahead, stopping }, parts, thinks) {
  if (stopping) return words.stopping;
  if (parts.isBetween) return words.working;
  if (!parts.isEmpty) return '';
  if (thinks) return words.thinking;
  return ahead > 0 ? words.ahead(ahead) : words.firstWord;
}
