import { element } from './elements.js';

const maxLines = 20;
// A longer text is cut: the rest is on the page.
const maxChars = 5000;

/** Announces texts to screen readers, politely and in order, through a hidden live region. */
export class Announcer {
  #region;

  /** @param {HTMLElement} region the live region */
  constructor(region) {
    this.#region = region;
  }

  /** @param {string} text */
  say(text) {
    if (text.trim() === '') return;
    this.#region.append(element('p', {}, text.slice(0, maxChars)));
    while (this.#region.childElementCount > maxLines) this.#region.firstElementChild?.remove();
  }
}
