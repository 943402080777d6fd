import { inPlainWords } from './plain-words.js';
import { signIn } from './server.js';

/** The sign-in form. The key or token goes to this server and is kept nowhere in the page. */
export class SignIn {
  #dialog;
  #field;
  #error;
  #submit;
  #later;
  /** @type {{ over: Promise<string | undefined>, end: (user: string | undefined) => void, mayWait: boolean } | undefined} */
  #asked;

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.#dialog = dialog;
    const find = (/** @type {string} */ selector) => /** @type {any} */ (dialog.querySelector(selector));
    /** @type {HTMLInputElement} */
    this.#field = find('input');
    /** @type {HTMLElement} */
    this.#error = find('.wrong');
    /** @type {HTMLButtonElement} */
    this.#submit = find('[type=submit]');
    /** @type {HTMLButtonElement} */
    this.#later = find('.later');
    find('form').addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#later.addEventListener('click', () => this.#end(undefined));
    dialog.addEventListener('cancel', (event) => {
      if (!this.#asked?.mayWait) event.preventDefault();
    });
    // A browser closes a dialog at the second Escape in any case.
    dialog.addEventListener('close', () => {
      if (this.#asked?.mayWait) this.#end(undefined);
      else if (this.#asked) dialog.showModal();
    });
  }

  /**
   * Resolves with the user who has signed in; where it may wait, with undefined if it has to.
   * @param {string} why @param {boolean} [mayWait]
   */
  ask(why, mayWait = false) {
    const text = this.#dialog.querySelector('.why');
    if (text) text.textContent = why;
    this.#later.hidden = !mayWait;
    this.#dialog.classList.toggle('covers', !mayWait);
    if (this.#asked) {
      this.#asked.mayWait = mayWait;
      return this.#asked.over;
    }
    /** @type {(user: string | undefined) => void} */
    let end = () => {};
    /** @type {Promise<string | undefined>} */
    const over = new Promise((resolve) => {
      end = resolve;
    });
    this.#asked = { over, end, mayWait };
    this.#say('');
    this.#dialog.showModal();
    this.#field.focus();
    return over;
  }

  async #send() {
    const token = this.#field.value.trim();
    if (token === '' || this.#submit.disabled) return;
    this.#submit.disabled = true;
    this.#say('');
    try {
      this.#end(await signIn(token));
    } catch (error) {
      this.#say(whyNot(/** @type {any} */ (error)));
      this.#field.select();
    }
    this.#submit.disabled = false;
  }

  /** @param {string | undefined} user */
  #end(user) {
    const asked = this.#asked;
    this.#asked = undefined;
    this.#field.value = '';
    if (this.#dialog.open) this.#dialog.close();
    asked?.end(user);
  }

  /** @param {string} text */
  #say(text) {
    this.#error.textContent = text;
    if (text === '') this.#field.removeAttribute('aria-invalid');
    else this.#field.setAttribute('aria-invalid', 'true');
  }
}

/** @param {{ code?: string, message?: string, retryAfterMs?: number }} error */
function whyNot(error) {
  if (error.code === 'UNAUTHORIZED') return 'This key or token is not valid.';
  if (error.code === 'INVALID_REQUEST') return 'This is too long for a key or token.';
  return error.code ? inPlainWords(error) : 'The server could not be reached.';
}
