import { signal } from '@preact/signals';
import { closeSide } from './drawer.js';
import { html } from './html.js';
import { addressOf } from './open.js';
import { here } from './state.js';
import { words } from './words.js';

/**
 * What was searched for; undefined without a search.
 * @typedef {object} Searched
 * @property {string} text
 * @property {readonly { id: string, title: string, excerpt: string }[]} [hits] absent while it is searched
 * @property {boolean} [failed]
 */

/** @type {import('@preact/signals').Signal<Searched | undefined>} */
export const searched = signal(undefined);
const pauseMs = 250;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let later;

/** @param {string} text */
function search(text) {
  clearTimeout(later);
  const isEmpty = text.trim() === '';
  searched.value = isEmpty ? undefined : { hits: searched.value?.hits ?? [], text };
  if (!isEmpty) later = setTimeout(() => void find(text), pauseMs);
}

/** @param {string} text */
async function find(text) {
  const result = await here.server?.search(text).then(
    (hits) => ({ text, hits }),
    () => ({ text, failed: true }),
  );
  if (searched.value?.text === text) searched.value = result;
}

/** Goes to the search field. */
export function focusSearch() {
  document.getElementById('search')?.focus();
}

/** The field that searches all text of the conversations, and what it has found. */
export function Search() {
  const { text = '', hits, failed } = searched.value ?? {};
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'Escape' || text === '') return;
    event.stopPropagation();
    search('');
  };
  return html`<div role="search">
    <label for="search" class="unseen">${words.search}</label>
    <input
      id="search" type="search" class="field" dir="auto" autocomplete="off" placeholder=${words.search} value=${text} maxlength="200"
      onInput=${(/** @type {any} */ event) => search(event.target.value)} onKeyDown=${onKeyDown}
    />
    ${
      searched.value &&
      html`<ul id="found" aria-label=${words.found(hits?.length ?? 0)}>
        ${(hits ?? []).map(
          ({ id, title, excerpt }) => html`<li>
            <a href=${addressOf(id)} onClick=${closeSide}><b dir="auto">${title}</b><span dir="auto">${excerpt}</span></a>
          </li>`,
        )}
      </ul>`
    }
    ${failed && html`<p class="faint">${words.searchFailed}</p>`}
    ${hits?.length === 0 && html`<p class="faint">${words.nothingFound}</p>`}
  </div>`;
}
