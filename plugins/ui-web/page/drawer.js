/** The side of the page: a column on wide screens, an overlay on narrow ones. */
export class Drawer {
  #side;
  #rest;
  #button;
  #veil;
  #narrow = matchMedia('(max-width: 50rem)');

  /** @param {HTMLElement} side @param {HTMLElement} rest @param {HTMLButtonElement} button @param {HTMLElement} veil */
  constructor(side, rest, button, veil) {
    this.#side = side;
    this.#rest = rest;
    this.#button = button;
    this.#veil = veil;
    this.#narrow.addEventListener('change', () => this.#set(!this.#narrow.matches));
    button.addEventListener('click', () => this.toggle());
    veil.addEventListener('click', () => this.close());
    this.#set(!this.#narrow.matches);
  }

  /** True while it covers the page. */
  get covers() {
    return this.#narrow.matches && !this.#side.inert;
  }

  toggle() {
    const opens = this.#side.inert;
    this.#set(opens);
    if (opens) /** @type {HTMLElement | null} */ (this.#side.querySelector('button, a'))?.focus();
    else this.#button.focus();
  }

  /** Closes it if it covers the page. */
  close() {
    if (this.covers) this.#set(false);
  }

  /** @param {boolean} open */
  #set(open) {
    this.#side.inert = !open;
    document.body.classList.toggle('side-open', open);
    this.#button.setAttribute('aria-expanded', String(open));
    this.#button.setAttribute('aria-label', open ? 'Hide the conversations' : 'Show the conversations');
    const covers = open && this.#narrow.matches;
    this.#rest.inert = covers;
    this.#veil.hidden = !covers;
  }
}
