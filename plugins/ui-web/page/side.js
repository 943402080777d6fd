import { useRef } from 'preact/hooks';
import { Account } from './account.js';
import { upload } from './actions.js';
import { ConversationList } from './conversation-list.js';
import { closeSide, isSideOpen } from './drawer.js';
import { html } from './html.js';
import { startNew } from './open.js';
import { Search, searched } from './search.js';
import { root } from './server.js';
import { dialog, offered, user } from './state.js';
import { startThemeButton } from './theme-button.js';
import { chooseLanguage, language, languages, words } from './words.js';

const icon = new URL('icon.svg', import.meta.url).href;

/** The side of the page: all conversations, the user, and what concerns the whole page. */
export function Side() {
  const isOperator = !user.value || user.value.scopes.includes('admin');
  const start = () => {
    closeSide();
    startNew();
  };
  return html`<aside id="side" aria-label=${words.conversations} inert=${!isSideOpen.value}>
    <div class="brand"><img src=${icon} alt="" width="24" height="24" /><span>Waggle</span></div>
    <button id="new" type="button" class="wide" onClick=${start}>${words.newConversation}</button>
    ${'conversations' in offered.value && html`<${Search} />`}
    <nav aria-label=${words.conversations}>${searched.value === undefined && html`<${ConversationList} />`}</nav>
    <${Account} />
    <div class="foot">
      ${
        'inspector' in offered.value &&
        isOperator &&
        html`<a id="inspector" class="button quiet" href=${new URL('ui/inspector', root).pathname}>${words.inspector}</a>`
      }
      <button id="help" type="button" class="quiet" onClick=${() => (dialog.value = { kind: 'keys' })}>${words.keys}</button>
      ${'conversations' in offered.value && html`<${Import} />`}
      <${Language} />
      <button id="theme" type="button" class="icon theme" ref=${startTheme}></button>
    </div>
  </aside>`;
}

/** @param {HTMLButtonElement | null} button */
function startTheme(button) {
  if (button && !button.dataset.shows) startThemeButton(button);
}

/** The button that imports conversations from a file. */
function Import() {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const take = () => {
    const file = field.current?.files?.[0];
    if (file) void upload(file);
    if (field.current) field.current.value = '';
  };
  return html`<button id="import" type="button" class="quiet" onClick=${() => field.current?.click()}>${words.importFile}</button>
    <input ref=${field} type="file" accept=".jsonl,.ndjson,.json" hidden onChange=${take} />`;
}

function Language() {
  const options = Object.entries(languages).map(
    ([code, { language: name }]) => html`<option value=${code} lang=${code}>${name}</option>`,
  );
  return html`<label for="language" class="unseen">${words.languageLabel}</label>
    <span class="select"
      ><select id="language" value=${language ?? 'en'} onChange=${(/** @type {any} */ event) => chooseLanguage(event.target.value)}>
        ${options}
      </select></span
    >`;
}
