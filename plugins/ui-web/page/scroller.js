import { signal } from '@preact/signals';

const nearPx = 48;

/** Keeps the end of a growing text in view, unless the reader has scrolled away from it. */
class Scroller {
  /** Whether the end is out of view. */
  isAway = signal(false);
  /** @type {HTMLElement | undefined} the scrolling element */
  #box;
  #follows = true;

  /** @param {HTMLElement} box the scrolling element */
  watch(box) {
    this.#box = box;
    box.addEventListener('scroll', () => this.#look(), { passive: true });
    // What is unfolded is read. It is filled after this event.
    box.addEventListener('toggle', () => requestAnimationFrame(() => this.#look()), true);
  }

  /** Called when the text has grown. */
  grew() {
    if (!this.#box) return;
    if (this.#follows) this.#box.scrollTop = this.#box.scrollHeight;
    else this.#look();
  }

  toEnd() {
    this.#follows = true;
    this.grew();
    this.isAway.value = false;
  }

  /** Goes to the end at the reader's wish. */
  jump() {
    this.toEnd();
    this.#box?.focus();
  }

  #look() {
    if (!this.#box) return;
    const { scrollHeight, scrollTop, clientHeight } = this.#box;
    this.#follows = scrollHeight - scrollTop - clientHeight < nearPx;
    this.isAway.value = !this.#follows;
  }
}

/** That of the conversation. */
export const scroller = new Scroller();
