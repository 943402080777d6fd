import { useLayoutEffect, useRef } from 'preact/hooks';
import { AgentChoice } from './agent-choice.js';
import { AttachButton, Attachments } from './attachment-list.js';
import { attach, attached, detachAll, lackOf, withTexts } from './attachments.js';
import { isComposing } from './composition.js';
import { draft, write } from './drafts.js';
import { html } from './html.js';
import { focusMessage } from './open.js';
import { Refusal } from './refusal.js';
import { dialog, edited, isOver, messages, runHere } from './state.js';
import { send, stop } from './turns.js';
import { words } from './words.js';

/** A telephone's Enter begins a new line. */
const isTouch = matchMedia('(hover: none) and (pointer: coarse)').matches;

/** The form in which one writes. */
export function Composer() {
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const { text } = draft.value;
  const isBusy = runHere.value !== undefined;
  const isEmpty = text.trim() === '' && attached.value.length === 0;
  const lack = lackOf();
  useLayoutEffect(() => {
    const { current: box } = field;
    if (!box) return;
    box.style.height = 'auto';
    box.style.height = `${box.scrollHeight}px`;
  }, [text]);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    // The field may hold more than the last event has told.
    const written = withTexts((field.current?.value ?? text).trim());
    if ((written.content === '' && !written.images) || lack) return;
    detachAll();
    send(written);
    focusMessage();
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (isComposing(event)) return;
    if (event.key === 'ArrowUp' && text === '') editLast(event);
    if (event.key === 'Enter' && !event.shiftKey && !isTouch) submit(event);
  };
  const onPaste = (/** @type {ClipboardEvent} */ event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    void attach(files);
  };
  return html`<${Refusal} />
    <form id="composer" aria-label=${words.ask} inert=${isOver.value} class=${isBusy ? 'busy' : ''} onSubmit=${submit}>
      <${Attachments} lack=${lack} />
      <label for="message" class="unseen">${words.message}</label>
      <textarea
        id="message" dir="auto" rows="1" placeholder=${words.placeholder} autocomplete="off" aria-describedby="keys" ref=${field}
        value=${text} onInput=${(/** @type {any} */ event) => write(event.target.value)} onKeyDown=${onKeyDown} onPaste=${onPaste}
      ></textarea>
      <p id="keys" class="unseen">${isTouch ? words.formKeysTouch : words.formKeys}</p>
      <div class="row">
        <${AttachButton} />
        <${AgentChoice} />
        <button id="settings" type="button" class="icon settings" aria-label=${words.settings} title=${words.settings} onClick=${() => (dialog.value = { kind: 'settings' })}></button>
        <span class="space"></span>
        ${
          isBusy &&
          html`<button id="stop" type="button" class=${isEmpty ? 'primary' : ''} onClick=${stopHere}>${words.stop}</button>`
        }
        ${
          !(isBusy && isEmpty) &&
          html`<button id="send" type="submit" class="primary" disabled=${isEmpty || Boolean(lack)}>${isBusy ? words.sendNext : words.send}</button>`
        }
      </div>
    </form>`;
}

function stopHere() {
  focusMessage();
  stop();
}

/** Edits the last question, as in a terminal. @param {KeyboardEvent} event */
function editLast(event) {
  const last = messages.value.findLast(({ role }) => role === 'user');
  if (!last || runHere.value) return;
  event.preventDefault();
  edited.value = last;
}
