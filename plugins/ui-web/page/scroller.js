const nearPx = 48;

/** Keeps the end of a growing text in view, unless the reader has scrolled away from it. */
export class Scroller {
  #box;
  #button;
  #follows = true;

  /** @param {HTMLElement} box the scrolling element @param {HTMLButtonElement} button back to the end */
  constructor(box, button) {
    this.#box = box;
    this.#button = button;
    // Scrollable content must be reachable with the keyboard.
    box.tabIndex = 0;
    box.addEventListener('scroll', () => this.#look(), { passive: true });
    // Whoever unfolds something reads it. It is filled after this event.
    box.addEventListener('toggle', () => requestAnimationFrame(() => this.#look()), true);
    button.addEventListener('click', () => {
      this.toEnd();
      box.focus();
    });
  }

  /** Called when the text has grown. */
  grew() {
    if (this.#follows) this.#box.scrollTop = this.#box.scrollHeight;
    else this.#look();
  }

  toEnd() {
    this.#follows = true;
    this.grew();
    this.#button.hidden = true;
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#box;
    this.#follows = scrollHeight - scrollTop - clientHeight < nearPx;
    this.#button.hidden = this.#follows;
  }
}
