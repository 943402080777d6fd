import { element } from './elements.js';

/** @typedef {import('./conversations.js').Entry} Entry */

/** The list of conversations. */
export class SideList {
  #list;
  #empty;
  #dialog;
  #actions;
  #shown = '';

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} empty shown instead of an empty list
   * @param {HTMLDialogElement} dialog confirmation of a deletion
   * @param {{ remove: (id: string) => void }} actions
   */
  constructor(list, empty, dialog, actions) {
    this.#list = list;
    this.#empty = empty;
    this.#dialog = dialog;
    this.#actions = actions;
  }

  /** @param {readonly Entry[]} entries @param {string | undefined} current @param {ReadonlySet<string>} asking those that wait for an approval */
  show(entries, current, asking) {
    const rows = entries.map(({ id, title, pending }) => [id, title, pending, asking.has(id)]);
    const shown = JSON.stringify([current, rows]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused =
      document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : undefined;
    this.#list.replaceChildren(
      ...entries.map((entry) => this.#item(entry, entry.id === current, asking.has(entry.id))),
    );
    this.#empty.hidden = entries.length > 0;
    if (focused)
      /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-key="${focused}"]`))?.focus();
  }

  /** @param {Entry} entry @param {boolean} isCurrent @param {boolean} asks */
  #item({ id, title, pending }, isCurrent, asks) {
    const link = element(
      'a',
      { href: `#c/${id}`, title },
      element('span', { className: 'title', dir: 'auto' }, title),
    );
    link.dataset.key = id;
    if (isCurrent) link.setAttribute('aria-current', 'page');
    if (pending) {
      const state = asks ? 'waits for your approval' : 'being answered';
      const className = asks ? 'pending asks' : 'pending';
      link.append(element('span', { className, role: 'img', 'aria-label': state, title: state }));
    }
    const remove = element('button', {
      ...{ type: 'button', className: 'icon delete', title: 'Delete', 'aria-label': `Delete “${title}”` },
    });
    remove.addEventListener('click', () => this.#ask(id, title));
    return element('li', {}, link, remove);
  }

  /** @param {string} id @param {string} title */
  #ask(id, title) {
    const dialog = this.#dialog;
    const what = dialog.querySelector('.what');
    what?.replaceChildren('“', element('bdi', {}, title), '” will be gone for good.');
    const [yes, no] = dialog.querySelectorAll('button');
    if (yes)
      yes.onclick = () => {
        dialog.close();
        this.#actions.remove(id);
      };
    if (no) no.onclick = () => dialog.close();
    dialog.showModal();
    no?.focus();
  }
}
