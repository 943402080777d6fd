import { element } from './elements.js';
import { words } from './words.js';

/**
 * @typedef {import('./steps.js').Question} Question
 * @typedef {(allow: boolean, reason?: string) => void} Decide
 */

const reasonChars = 1000;

/** The question whether a tool may be run, and its answer. */
export class ApprovalView {
  element;
  #name;
  #who;
  /** The last way to decide, of which there are buttons. @type {Decide | undefined} */
  #decide;

  /** @param {string} name of the tool @param {(by: string) => string} who the name of a user */
  constructor(name, who) {
    this.#name = name;
    this.#who = who;
    this.element = element('div', {
      className: 'approval',
      role: 'group',
      'aria-label': words.approvalOf(name),
    });
  }

  /** @param {string} input @param {Question} question @param {boolean} isLive @param {Decide} [decide] if it may be decided here */
  show(input, question, isLive, decide) {
    const isOpen = question.allow === undefined && isLive;
    this.element.classList.toggle('asked', isOpen);
    if (!isOpen) {
      this.#decide = undefined;
      this.element.replaceChildren(element('p', {}, decisionOf(question, this.#who)));
      return;
    }
    // A reason that is being written stays.
    if (decide && this.#decide) return;
    this.#decide = decide;
    this.element.replaceChildren(
      element(
        'p',
        {},
        words.mayRun[0] ?? '',
        element('code', { dir: 'auto' }, this.#name),
        words.mayRun[1] ?? '',
      ),
      element('pre', { tabIndex: 0, role: 'group', 'aria-label': words.arguments }, whole(input)),
      ...(decide ? [this.#form(decide)] : []),
      element('p', { className: 'until' }, words.notRunUntil(clock(question.until))),
    );
  }

  /** @param {Decide} decide */
  #form(decide) {
    const allow = element('button', { type: 'button', className: 'primary' }, words.allow);
    // Enter in the reason denies.
    const deny = element('button', { type: 'submit' }, words.deny);
    const reason = element('input', {
      ...{ type: 'text', maxLength: reasonChars, autocomplete: 'off', dir: 'auto' },
      placeholder: words.whyNot,
      'aria-label': words.whyNotLabel,
    });
    const form = element('form', {}, allow, deny, reason);
    let isDecided = false;
    /** @param {boolean} allows */
    const answer = (allows) => {
      if (isDecided) return;
      isDecided = true;
      // Disabled ones would lose the focus.
      for (const button of [allow, deny]) button.setAttribute('aria-disabled', 'true');
      reason.readOnly = true;
      const why = reason.value.trim();
      if (allows || why === '') decide(allows);
      else decide(false, why);
    };
    allow.addEventListener('click', () => answer(true));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      answer(false);
    });
    return form;
  }
}

/** @param {Question} question @param {(by: string) => string} who */
export function decisionOf({ allow, by }, who) {
  if (allow === undefined) return words.undecided;
  if (by === undefined) return allow ? words.allowed : words.notInTime;
  return words.decidedBy(allow, who(by));
}

/** @param {string} input */
function whole(input) {
  return input === '' || input === '{}' ? words.withoutArguments : input;
}

/** @param {number} ms since 1970 */
function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { timeStyle: 'short' });
}
