import { useRef } from 'preact/hooks';
import { copyLink, download, pin, remove } from './actions.js';
import { isSideOpen, toggleSide } from './drawer.js';
import { html } from './html.js';
import { connection, current, dialog, entry } from './state.js';
import { words } from './words.js';

/** The line above the conversation: its title and actions, and the connection. */
export function Head() {
  const title = entry.value?.title || words.newConversation;
  const state = words.states[connection.value];
  return html`<header class="bar">
    <button
      id="toggle-side" type="button" class="icon side" aria-controls="side" aria-expanded=${String(isSideOpen.value)}
      aria-label=${isSideOpen.value ? words.hideSide : words.showSide} onClick=${toggleSide}
    ></button>
    <h1 id="title" dir="auto">${title}</h1>
    ${entry.value && html`<${Menu} key=${current.value} />`}
    <p id="connection" data-state=${connection.value}><span class="dot"></span><span class="text">${state.short}</span></p>
  </header>`;
}

/** What can be done with the open conversation. */
function Menu() {
  const fold = useRef(/** @type {HTMLDetailsElement | null} */ (null));
  const { id = '', pinned = false } = entry.value ?? {};
  /** @type {[string, () => void][]} */
  const all = [
    [words.rename, () => (dialog.value = { kind: 'rename', id })],
    [pinned ? words.unpin : words.pin, () => pin(id)],
    [words.copyLink, () => void copyLink()],
    [words.exportMarkdown, () => void download('md')],
    [words.exportJson, () => void download('json')],
    [words.delete, () => void remove(id)],
  ];
  const close = () => {
    if (fold.current) fold.current.open = false;
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'Escape' || !fold.current?.open) return;
    event.stopPropagation();
    close();
    fold.current.querySelector('summary')?.focus();
  };
  const onFocusOut = (/** @type {FocusEvent} */ { relatedTarget }) => {
    if (relatedTarget instanceof Node && !fold.current?.contains(relatedTarget)) close();
  };
  return html`<details id="actions" ref=${fold} onKeyDown=${onKeyDown} onFocusOut=${onFocusOut}>
    <summary class="icon more" aria-label=${words.actions} title=${words.actions}></summary>
    <div class="menu">
      ${all.map(
        ([name, act]) => html`<button
          type="button" class="quiet"
          onClick=${() => {
            close();
            act();
          }}
        >
          ${name}
        </button>`,
      )}
    </div>
  </details>`;
}
