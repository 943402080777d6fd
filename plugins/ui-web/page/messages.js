import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { announce } from './announcer.js';
import { Answer } from './answer.js';
import { copyFrom } from './clipboard.js';
import { html } from './html.js';
import { Question } from './question.js';
import { scroller } from './scroller.js';
import { current, messages, runHere } from './state.js';
import { attempts } from './turns.js';
import { takeOneBack, waiting } from './waiting.js';
import { Welcome } from './welcome.js';
import { words } from './words.js';

/** @typedef {import('./conversations.js').Message} Message */

/** The messages that are drawn at first, and more of with each step up. */
const step = 60;
/** How many of the open conversation are drawn. */
const drawn = signal({ id: /** @type {string | undefined} */ (undefined), count: step });
/** Names of messages for Preact. @type {WeakMap<Message, number>} */
const names = new WeakMap();
let lastName = 0;

/** @param {Message} message */
function keyOf(message) {
  if (!names.has(message)) names.set(message, ++lastName);
  return `${names.get(message)}.${attempts.get(message) ?? 0}`;
}

/** The conversation, as it is drawn. */
export function Log() {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    if (box.current) scroller.watch(box.current);
  }, []);
  const id = current.value;
  const all = messages.value;
  // What is on the page stays there when the conversation gets an id.
  const { count } = drawn.value.id === id ? drawn.value : { count: step };
  const first = Math.max(0, all.length - count);
  const more = () => {
    const before = box.current;
    const below = before ? before.scrollHeight - before.scrollTop : 0;
    drawn.value = { id, count: count + step };
    requestAnimationFrame(() => {
      if (before) before.scrollTop = before.scrollHeight - below;
    });
  };
  return html`<div class="log">
    <section id="log" aria-label=${words.conversation} tabindex="0" ref=${box}>
      ${all.length === 0 && html`<${Welcome} />`}
      <div id="messages" onClick=${copyCode}>
        ${first > 0 && html`<p class="earlier"><button type="button" onClick=${more}>${words.earlierTurns}</button></p>`}
        ${all
          .slice(first)
          .map((message, index) => [
            !message.lost &&
              all[first + index - 1]?.lost &&
              html`<p key="lost" class="earlier faint">${words.lost}</p>`,
            viewOf(message, first + index, all),
          ])}
      </div>
      <${Waiting} />
    </section>
    ${scroller.isAway.value && html`<button id="to-end" type="button" onClick=${() => scroller.jump()}>${words.toEnd}</button>`}
  </div>`;
}

/** Messages change in place: `all`, which is another list then, has them drawn again. @param {Message} message @param {number} at @param {readonly Message[]} all */
function viewOf(message, at, all) {
  const key = keyOf(message);
  if (message.role === 'user') return html`<${Question} key=${key} message=${message} all=${all} />`;
  const running = runHere.value?.run;
  const run = running?.message === message ? running : undefined;
  const question = all[at - 1]?.role === 'user' ? all[at - 1] : undefined;
  return html`<${Answer} key=${key} ...${{ message, question, run, all }} />`;
}

/** Messages that wait for the end of the answer. */
function Waiting() {
  const id = current.value ?? '';
  const all = waiting.value.get(id) ?? [];
  if (all.length === 0) return null;
  return html`<ul id="waiting" aria-label=${words.waitingMessages}>
    ${all.map(
      (written) => html`<li>
        <div class="bubble" dir="auto">${written.content}</div>
        <p class="faint">
          ${words.sentNext}
          <button type="button" class="quiet" onClick=${() => takeOneBack(id, written)}>${words.takeBack}</button>
        </p>
      </li>`,
    )}
  </ul>`;
}

/** The buttons in what a model has written belong to no view. @param {MouseEvent} event */
async function copyCode({ target }) {
  if (!(target instanceof HTMLButtonElement) || !target.matches('.code .copy')) return;
  announce(await copyFrom(target, target.closest('.code')?.querySelector('pre')?.textContent ?? ''));
}
