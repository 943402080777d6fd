import { signal } from '@preact/signals';
import { draft, draftOf, keepDraft, setDraft } from './drafts.js';
import { focusMessage } from './open.js';
import { current } from './state.js';

/** @typedef {Pick<import('./conversations.js').Message, 'content' | 'images'>} Written */

/** Messages that wait for the end of an answer, by conversation. @type {import('@preact/signals').Signal<ReadonlyMap<string, readonly Written[]>>} */
export const waiting = signal(new Map());

/** @param {string} id @param {readonly Written[]} all */
export function setWaiting(id, all) {
  const changed = new Map(waiting.value);
  if (all.length > 0) changed.set(id, all);
  else changed.delete(id);
  waiting.value = changed;
}

/** Puts waiting messages back into the field. @param {string} id */
export function takeBack(id) {
  const texts = (waiting.value.get(id) ?? []).map(({ content }) => content);
  if (texts.length === 0) return;
  setWaiting(id, []);
  const isOpen = id === current.value;
  const before = isOpen ? draft.value : draftOf(id);
  const text = [...texts, before.text].filter(Boolean).join('\n\n');
  if (isOpen) setDraft({ ...before, text });
  else keepDraft(id, { ...before, text });
}

/** Takes one waiting message back into the field. @param {string} id @param {Written} written */
export function takeOneBack(id, written) {
  setWaiting(
    id,
    (waiting.value.get(id) ?? []).filter((each) => each !== written),
  );
  setDraft({ ...draft.value, text: [written.content, draft.value.text].filter(Boolean).join('\n\n') });
  focusMessage();
}
