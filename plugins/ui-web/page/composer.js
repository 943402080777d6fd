import { isComposing } from './composition.js';

/** The message form. */
export class Composer {
  #form;
  #field;
  #send;
  #stop;
  #busy = false;

  /**
   * @param {{ form: HTMLFormElement, field: HTMLTextAreaElement, send: HTMLButtonElement, stop: HTMLButtonElement }} elements
   * @param {{ send: (text: string) => void, stop: () => void }} actions
   */
  constructor({ form, field, send, stop }, actions) {
    this.#form = form;
    this.#field = field;
    this.#send = send;
    this.#stop = stop;
    field.addEventListener('input', () => this.#show());
    field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || isComposing(event)) return;
      event.preventDefault();
      form.requestSubmit();
    });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (text === '' || this.#busy) return;
      this.text = '';
      actions.send(text);
    });
    stop.addEventListener('click', () => {
      actions.stop();
      field.focus();
    });
    this.#show();
  }

  get text() {
    return this.#field.value;
  }

  set text(text) {
    this.#field.value = text;
    this.#show();
  }

  /** A stop button replaces the send button while an answer is running. */
  set busy(/** @type {boolean} */ busy) {
    if (busy === this.#busy) return;
    this.#busy = busy;
    // Keep the focus when the button disappears.
    if (document.activeElement === this.#send || document.activeElement === this.#stop) this.#field.focus();
    this.#show();
  }

  focus() {
    this.#field.focus();
  }

  #show() {
    this.#send.hidden = this.#busy;
    this.#stop.hidden = !this.#busy;
    this.#field.style.height = 'auto';
    this.#field.style.height = `${this.#field.scrollHeight}px`;
    this.#send.disabled = this.#field.value.trim() === '';
    this.#form.classList.toggle('busy', this.#busy);
  }
}
