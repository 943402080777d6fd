import { openChoice } from './choice.js';
import { openDraft } from './drafts.js';
import { scroller } from './scroller.js';
import { conversations, current, edited, messages, running } from './state.js';

/** Called with each conversation that is opened. @type {Set<(id: string) => void>} */
export const onOpened = new Set();

/** The id of the conversation in the address. */
export function idInAddress() {
  return /^#c\/([\w.~-]{1,128})$/.exec(location.hash)?.[1];
}

/** The address of a conversation, without the host; of a new one when undefined. @param {string | undefined} id */
export function addressOf(id) {
  return id === undefined ? location.href.replace(/#.*/, '') : `#c/${id}`;
}

/** Writes the open conversation into the address, where there is no step back. @param {string | undefined} id */
export function openHere(id) {
  current.value = id;
  history.replaceState(null, '', addressOf(id));
}

/** Opens the conversation in the address. */
export function open() {
  const id = idInAddress();
  current.value = id;
  edited.value = undefined;
  openDraft(id);
  openChoice(id);
  messages.value = id === undefined ? [] : (running.value.get(id)?.messages ?? conversations.messages(id));
  scroller.toEnd();
  if (id !== undefined) for (const opened of onOpened) opened(id);
}

/** Opens a new conversation. */
export function startNew() {
  history.pushState(null, '', addressOf(undefined));
  open();
  focusMessage();
}

/** Lets one write. */
export function focusMessage() {
  const field = document.getElementById('message');
  field?.focus();
  // What covers it is gone with the next render.
  if (field && document.activeElement !== field) setTimeout(() => field.focus());
}
