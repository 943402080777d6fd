import { signal } from '@preact/signals';
import { inPlainWords } from './plain-words.js';
import { signIn } from './server.js';
import { words } from './words.js';

/**
 * @typedef {object} Asked
 * @property {string} why
 * @property {boolean} mayWait
 * @property {Promise<string | undefined>} over
 * @property {(user: string | undefined) => void} end
 */

/** The question who one is. The key or token goes to this server and is kept nowhere in the page. */
export class SignIn {
  /** Undefined while nothing is asked. @type {import('@preact/signals').Signal<Asked | undefined>} */
  asked = signal(undefined);
  /** Why the last token was refused. */
  wrong = signal('');
  isBusy = signal(false);

  /**
   * Resolves with the user who has signed in; where it may wait, with undefined if it has to.
   * @param {string} why @param {boolean} [mayWait]
   */
  ask(why, mayWait = false) {
    const before = this.asked.value;
    if (before) {
      this.asked.value = { ...before, why, mayWait };
      return before.over;
    }
    /** @type {(user: string | undefined) => void} */
    let end = () => {};
    /** @type {Promise<string | undefined>} */
    const over = new Promise((resolve) => {
      end = resolve;
    });
    this.wrong.value = '';
    this.asked.value = { why, mayWait, over, end };
    return over;
  }

  /** Tries a token. False if it was refused. @param {string} token */
  async try(token) {
    if (token === '' || this.isBusy.value) return true;
    this.isBusy.value = true;
    this.wrong.value = '';
    try {
      this.end(await signIn(token));
      return true;
    } catch (error) {
      this.wrong.value = whyNot(/** @type {any} */ (error));
      return false;
    } finally {
      this.isBusy.value = false;
    }
  }

  /** @param {string | undefined} user */
  end(user) {
    const asked = this.asked.value;
    this.asked.value = undefined;
    asked?.end(user);
  }
}

/** @param {{ code?: string, message?: string, retryAfterMs?: number }} error */
function whyNot(error) {
  if (error.code === 'UNAUTHORIZED') return words.invalidToken;
  if (error.code === 'INVALID_REQUEST') return words.tooLongToken;
  return error.code ? inPlainWords(error) : words.unreachable;
}
