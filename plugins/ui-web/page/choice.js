import { signal } from '@preact/signals';
import { recall, remember } from './storage.js';

/** @typedef {import('./conversations.js').Choice} Choice */

/** Agent, model and options of the open conversation. @type {import('@preact/signals').Signal<Choice>} */
export const choice = signal({});
/** @type {string | undefined} */
let openId;

/** Shows what was chosen in a conversation; in a new one what was chosen last. @param {string | undefined} id */
export function openChoice(id) {
  openId = id;
  choice.value = (id !== undefined && recall(`choice:${id}`)) || recall('choice') || {};
}

/** @param {Choice} chosen */
export function choose(chosen) {
  choice.value = chosen;
  const { agent, model } = chosen;
  remember('choice', { agent, model });
  keepChoice();
}

/** Stores the choice with its conversation. */
export function keepChoice() {
  if (openId !== undefined) remember(`choice:${openId}`, choice.value);
}

/** The conversation has an id now. @param {string} id */
export function nameChoice(id) {
  openId = id;
  keepChoice();
}
