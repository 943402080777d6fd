import { effect, signal } from '@preact/signals';
import { forget, recall, remember } from './storage.js';

/**
 * What is written and not sent, for each conversation; of a new one under this name.
 * @typedef {object} Draft
 * @property {string} text
 * @property {Refusal} [refusal] why it was not sent
 *
 * @typedef {object} Refusal
 * @property {{ code?: string, message?: string, retryAfterMs?: number }} error
 * @property {number} at milliseconds since 1970
 */
const newName = 'new';
const saveAfterMs = 300;

/** @type {import('@preact/signals').Signal<Draft>} */
export const draft = signal({ text: '' });
let name = newName;
let isSaved = true;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let later;

effect(() => {
  draft.value;
  if (isSaved) return;
  later ??= setTimeout(saveDraft, saveAfterMs);
});

/** Changes the draft of the open conversation. @param {string} text */
export function write(text) {
  isSaved = false;
  draft.value = { ...draft.value, text };
}

/** The same, with or without the reason why it was not sent. @param {Draft} changed */
export function setDraft(changed) {
  isSaved = false;
  draft.value = changed;
  saveDraft();
}

/** Shows the draft of another conversation. @param {string | undefined} id */
export function openDraft(id) {
  saveDraft();
  name = id ?? newName;
  isSaved = true;
  draft.value = draftOf(id);
}

/** The draft goes on under the id that its conversation has now. @param {string | undefined} id */
export function moveDraft(id) {
  saveDraft();
  forget(`draft:${name}`);
  name = id ?? newName;
  isSaved = false;
  saveDraft();
}

/** @param {string | undefined} id @returns {Draft} */
export function draftOf(id) {
  const stored = recall(`draft:${id ?? newName}`);
  return typeof stored?.text === 'string' ? stored : { text: '' };
}

/** Puts text in front of what is written in a conversation that is not open. @param {string} id @param {Draft} changed */
export function keepDraft(id, changed) {
  remember(`draft:${id}`, changed);
}

/** @param {string} id */
export function forgetDraft(id) {
  forget(`draft:${id}`);
}

/** Stores the draft now. */
export function saveDraft() {
  clearTimeout(later);
  later = undefined;
  if (isSaved) return;
  isSaved = true;
  const { text, refusal } = draft.value;
  if (text === '' && !refusal) forget(`draft:${name}`);
  else remember(`draft:${name}`, draft.value);
}
