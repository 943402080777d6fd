import { useLayoutEffect, useRef } from 'preact/hooks';
import { removeTurn, rename } from './actions.js';
import { choice, choose } from './choice.js';
import { html } from './html.js';
import { conversations, dialog } from './state.js';
import { words } from './words.js';

/** The dialog that is open, if one is. */
export function Dialogs() {
  const open = dialog.value;
  if (open?.kind === 'keys') return html`<${Keys} />`;
  if (open?.kind === 'rename') return html`<${Rename} key=${open.id} id=${open.id} />`;
  if (open?.kind === 'settings') return html`<${Settings} />`;
  if (open?.kind === 'delete-turn') return html`<${DeleteTurn} message=${open.message} />`;
  return null;
}

const close = () => {
  dialog.value = undefined;
};

/** @param {{ id: string, title: string, children?: unknown }} properties */
function Modal({ id, title, children }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useLayoutEffect(() => {
    box.current?.showModal();
    return () => box.current?.close();
  }, []);
  return html`<dialog id=${id} aria-labelledby=${`${id}-title`} ref=${box} onClose=${close}>
    <h2 id=${`${id}-title`}>${title}</h2>
    ${children}
  </dialog>`;
}

function Keys() {
  const control = /Mac|iP(hone|ad)/.test(navigator.userAgent) ? '⌘' : 'Ctrl';
  const rows = words.shortcuts.map(
    ([keys = '', what]) => html`<div>
      <dt>${keys.split(' ').map((key) => html`<kbd>${key === 'Ctrl' ? control : key}</kbd> `)}</dt>
      <dd>${what}</dd>
    </div>`,
  );
  return html`<${Modal} id="keys-dialog" title=${words.keys}>
    <dl>${rows}</dl>
    <div class="row"><button type="button" onClick=${close}>${words.close}</button></div>
  <//>`;
}

/** @param {{ id: string }} properties */
function Rename({ id }) {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useLayoutEffect(() => field.current?.select(), []);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const title = field.current?.value.trim() ?? '';
    close();
    if (title !== '') void rename(id, title);
  };
  return html`<${Modal} id="rename" title=${words.renameTitle}>
    <form onSubmit=${submit}>
      <label for="new-title">${words.titleLabel}</label>
      <input id="new-title" ref=${field} class="field" dir="auto" maxlength="80" autocomplete="off" defaultValue=${conversations.find(id)?.title ?? ''} />
      <div class="row">
        <button type="button" onClick=${close}>${words.cancel}</button>
        <button type="submit" class="primary">${words.save}</button>
      </div>
    </form>
  <//>`;
}

/** @param {{ message: import('./conversations.js').Message }} properties */
function DeleteTurn({ message }) {
  const yes = () => {
    close();
    void removeTurn(message);
  };
  return html`<${Modal} id="delete-turn" title=${words.deleteTurnTitle}>
    <p class="what">${words.deleteTurnWhat}</p>
    <div class="row">
      <button type="button" class="danger" onClick=${yes}>${words.delete}</button>
      <button type="button" autofocus onClick=${close}>${words.keep}</button>
    </div>
  <//>`;
}

function Settings() {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const { agent, model } = choice.value;
    const numberOf = (/** @type {string} */ name) => {
      const field = form.current?.elements.namedItem(name);
      const text = field instanceof HTMLInputElement ? field.value : '';
      return text === '' ? undefined : Number(text);
    };
    choose({ agent, model, temperature: numberOf('temperature'), maxTokens: numberOf('maxTokens') });
    close();
  };
  const { temperature = '', maxTokens = '' } = choice.value;
  return html`<${Modal} id="settings-dialog" title=${words.settings}>
    <form ref=${form} onSubmit=${submit}>
      <label for="temperature">${words.temperature}</label>
      <input id="temperature" name="temperature" class="field" type="number" min="0" max="2" step="0.1" aria-describedby="temperature-hint" defaultValue=${temperature} />
      <p id="temperature-hint" class="faint">${words.temperatureHint}</p>
      <label for="max-tokens">${words.maxTokens}</label>
      <input id="max-tokens" name="maxTokens" class="field" type="number" min="1" step="1" aria-describedby="max-tokens-hint" defaultValue=${maxTokens} />
      <p id="max-tokens-hint" class="faint">${words.maxTokensHint}</p>
      <div class="row">
        <button type="button" onClick=${close}>${words.cancel}</button>
        <button type="submit" class="primary">${words.save}</button>
      </div>
    </form>
  <//>`;
}
