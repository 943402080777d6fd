import { remove } from './actions.js';
import { closeSide } from './drawer.js';
import { html } from './html.js';
import { addressOf } from './open.js';
import { asking, current, entries } from './state.js';
import { words } from './words.js';

/** @typedef {import('./conversations.js').Entry} Entry */

const dayMs = 86_400_000;

/** All conversations: those that are pinned, then by date. */
export function ConversationList() {
  const all = entries.value;
  const groups = groupsOf(all);
  const titled = (/** @type {string} */ name) =>
    (groups.length > 1 || name === words.pinned) && html`<h2 class="group faint">${name}</h2>`;
  return html`<div id="list">
      ${groups.map(
        ([name, some]) => html`<div key=${name}>
          ${titled(name)}
          <ul>
            ${some.map((each) => html`<${Item} key=${each.id} entry=${each} />`)}
          </ul>
        </div>`,
      )}
    </div>
    ${all.length === 0 && html`<p id="list-empty" class="faint">${words.noConversations}</p>`}`;
}

/** @param {{ entry: Entry }} properties */
function Item({ entry: { id, title, pending } }) {
  const isCurrent = id === current.value;
  const asks = asking.value.has(id);
  const state = asks ? words.waitsForApproval : words.beingAnswered;
  const label = words.deleteOf(title);
  return html`<li>
    <a href=${addressOf(id)} title=${title} aria-current=${isCurrent ? 'page' : undefined} onClick=${closeSide}>
      <span class="title" dir="auto">${title}</span>
      ${pending && html`<span class=${asks ? 'pending asks' : 'pending'} role="img" aria-label=${state} title=${state}></span>`}
    </a>
    <button type="button" class="icon delete" title=${words.delete} aria-label=${label} onClick=${() => void remove(id)}></button>
  </li>`;
}

/** Conversations by the time of their last change, without empty groups. @param {readonly Entry[]} all @returns {[name: string, some: Entry[]][]} */
function groupsOf(all, now = new Date()) {
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  /** @param {Entry} entry */
  const nameOf = ({ pinned, updatedAt }) => {
    if (pinned) return words.pinned;
    if (updatedAt >= today) return words.today;
    if (updatedAt >= today - dayMs) return words.yesterday;
    return updatedAt >= today - 6 * dayMs ? words.thisWeek : words.earlier;
  };
  /** @type {[string, Entry[]][]} */
  const groups = [words.pinned, words.today, words.yesterday, words.thisWeek, words.earlier].map((name) => [
    name,
    [],
  ]);
  for (const entry of all) groups.find(([name]) => name === nameOf(entry))?.[1].push(entry);
  return groups.filter(([, some]) => some.length > 0);
}
