import { useRef } from 'preact/hooks';
import { attach, attached, detach } from './attachments.js';
import { bytes } from './figures.js';
import { html } from './html.js';
import { focusMessage } from './open.js';
import { words } from './words.js';

/** The files beside the message. @param {{ lack: string | undefined }} properties why the model cannot take them */
export function Attachments({ lack }) {
  if (attached.value.length === 0) return null;
  return html`<ul id="attachments">
      ${attached.value.map(
        (each) => html`<li>
          ${'image' in each && html`<img src=${each.image} alt="" />`}
          <span dir="auto">${each.name}</span> <span class="faint">${bytes(each.size)}</span>
          <button
            type="button" class="icon delete" aria-label=${words.removeFile(each.name)}
            onClick=${() => {
              detach(each);
              focusMessage();
            }}
          ></button>
        </li>`,
      )}
    </ul>
    ${lack && html`<p class="lack" role="alert">${lack}</p>`}`;
}

/** The button that attaches files. */
export function AttachButton() {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const take = () => {
    void attach([...(field.current?.files ?? [])]);
    if (field.current) field.current.value = '';
    focusMessage();
  };
  return html`<button id="attach" type="button" class="icon attach" aria-label=${words.attach} title=${words.attach} onClick=${() => field.current?.click()}></button>
    <input id="files" ref=${field} type="file" multiple hidden onChange=${take} />`;
}

/** Lets one drop files anywhere on the page. */
export function startDrop() {
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files');
  addEventListener('dragover', (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    void attach([...(event.dataTransfer?.files ?? [])]);
    focusMessage();
  });
}
