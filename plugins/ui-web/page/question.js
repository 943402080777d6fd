import { useLayoutEffect, useRef } from 'preact/hooks';
import { showVersion } from './actions.js';
import { isComposing } from './composition.js';
import { html } from './html.js';
import { focusMessage } from './open.js';
import { dialog, edited, isOver, offered, runHere } from './state.js';
import { replace } from './turns.js';
import { words } from './words.js';

/** @typedef {import('./conversations.js').Message} Message */

/** A question of the user. @param {{ message: Message, all: readonly Message[] }} properties */
export function Question({ message }) {
  if (edited.value === message) return html`<${Editor} message=${message} />`;
  const { content, images = [], number } = message;
  const mayChange = !runHere.value && !isOver.value;
  return html`<article class="question">
    <h2 class="unseen">${words.you}</h2>
    <div class="bubble" dir="auto">${content}</div>
    ${images.map((image) => html`<img class="picture" src=${image} alt="" />`)}
    <footer>
      <${Versions} message=${message} versions=${message.versions ?? []} />
      ${mayChange && html`<button type="button" class="quiet" onClick=${() => (edited.value = message)} aria-label=${words.editQuestion}>${words.edit}</button>`}
      ${
        mayChange &&
        number !== undefined &&
        'conversations' in offered.value &&
        html`<button type="button" class="quiet" aria-label=${words.deleteTurn} onClick=${() => (dialog.value = { kind: 'delete-turn', message })}>${words.delete}</button>`
      }
    </footer>
  </article>`;
}

/** Arrows to the other versions of the conversation from a question on. @param {{ message: Message, versions: readonly number[] }} properties */
function Versions({ message, versions }) {
  const { at = 0 } = message;
  if (versions.length === 0) return null;
  const all = [...versions, at].sort((one, other) => one - other);
  const place = all.indexOf(at);
  const arrow = (/** @type {number} */ step, /** @type {string} */ name, /** @type {string} */ sign) => {
    const target = all[place + step];
    const isOff = target === undefined || runHere.value !== undefined || isOver.value;
    return html`<button
      type="button" class="quiet arrow" aria-label=${name} aria-disabled=${isOff ? 'true' : undefined}
      onClick=${() => isOff || void showVersion(message, /** @type {number} */ (target))}
    >
      ${sign}
    </button>`;
  };
  return html`<span class="versions" role="group" aria-label=${words.version(place + 1, all.length)}>
    ${arrow(-1, words.olderVersion, '‹')}<span>${place + 1} / ${all.length}</span>${arrow(1, words.newerVersion, '›')}
  </span>`;
}

/** The field in which a question is changed. @param {{ message: Message }} properties */
function Editor({ message }) {
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  useLayoutEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(message.content.length, message.content.length);
  }, []);
  const leave = () => {
    edited.value = undefined;
    focusMessage();
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? '';
    if (text !== '') void replace(message, text);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (isComposing(event)) return;
    if (event.key === 'Escape') {
      event.stopPropagation();
      leave();
    } else if (event.key === 'Enter' && !event.shiftKey) submit(event);
  };
  return html`<form class="editor" aria-label=${words.editQuestion} onSubmit=${submit}>
    <textarea ref=${field} dir="auto" rows="3" class="field" aria-label=${words.editQuestion} onKeyDown=${onKeyDown} defaultValue=${message.content}></textarea>
    <div class="row">
      <button type="button" onClick=${leave}>${words.cancel}</button>
      <button type="submit" class="primary">${words.send}</button>
    </div>
  </form>`;
}
