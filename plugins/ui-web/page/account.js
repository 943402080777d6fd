import { element } from './elements.js';
import { inWords } from './plain-words.js';

/** @typedef {import('./server.js').User} User */

/** Limits that are shown. @type {Readonly<Record<string, string>>} */
const names = {
  requestsPerMinute: 'requests a minute',
  repliesAtOnce: 'answers at once',
  tokensPerDay: 'tokens a day',
};

/** The signed-in user, and what is left of the limits. */
export class Account {
  #box;
  #user;
  #limits;

  /** @param {HTMLElement} box @param {{ signOut: () => void }} actions */
  constructor(box, { signOut }) {
    this.#box = box;
    this.#user = box.querySelector('.user');
    this.#limits = box.querySelector('.limits');
    box.querySelector('button')?.addEventListener('click', signOut);
  }

  /** @param {User | null} user null hides it */
  show(user) {
    this.#box.hidden = user === null;
    if (!user) return;
    if (this.#user) this.#user.textContent = user.id;
    const lines = Object.entries(names).flatMap(([name, what]) => {
      const limit = user.limits[name];
      return limit ? [element('li', {}, lineOf(limit, what))] : [];
    });
    this.#limits?.replaceChildren(...lines);
  }
}

/** @param {User['limits'][string]} limit @param {string} what */
function lineOf({ limit, left, resetMs = 0 }, what) {
  const count = (/** @type {number} */ value) => Math.max(0, Math.floor(value)).toLocaleString('en');
  const again = left < limit && resetMs > 0 ? `, all of them in ${inWords(resetMs)}` : '';
  return `${count(left)} of ${count(limit)} ${what} left${again}`;
}
