import { html } from './html.js';

/** An element that changes by itself, such as growing text. @param {{ of: HTMLElement }} properties */
export function Island({ of }) {
  const put = (/** @type {HTMLElement | null} */ place) => {
    if (place && place.firstChild !== of) place.replaceChildren(of);
  };
  return html`<div class="island" ref=${put}></div>`;
}
