import { element } from './elements.js';

/** @typedef {import('./line.js').LineState} LineState */

/** @type {Readonly<Record<LineState, { short: string, long?: string, action?: string }>>} */
const states = {
  connecting: { short: 'Connecting' },
  open: { short: 'Connected' },
  draining: {
    short: 'Restarting',
    long: 'The server is restarting. New questions wait until it is back.',
  },
  reconnecting: {
    short: 'Reconnecting',
    long: 'The connection is lost. It will be restored when the server is back.',
  },
  'signed-out': { short: 'Signed out' },
  refused: { short: 'Disconnected', long: 'The server closed the connection.', action: 'Reconnect' },
};

/** State of the connection: always in short, and in detail when something is wrong. */
export class Notice {
  #box;
  #short;

  /** @param {HTMLElement} box @param {HTMLElement} short */
  constructor(box, short) {
    this.#box = box;
    this.#short = short;
  }

  /** @param {LineState} state */
  show(state) {
    const { short, long, action } = states[state];
    this.#short.dataset.state = state;
    const text = this.#short.querySelector('.text');
    if (text) text.textContent = short;
    this.say(long ?? '', action);
  }

  /** @param {string} text @param {string} [action] reloads the page */
  say(text, action) {
    this.#box.replaceChildren();
    if (text === '') return;
    this.#box.append(element('p', {}, text));
    if (!action) return;
    const button = element('button', { type: 'button' }, action);
    button.addEventListener('click', () => location.reload());
    this.#box.append(button);
  }
}
