import { html } from './html.js';
import { inWords } from './plain-words.js';
import { leave } from './session.js';
import { user } from './state.js';
import { count, words } from './words.js';

/** @typedef {import('./server.js').User} User */

/** The signed-in user, and what is left of the limits. */
export function Account() {
  const signedIn = user.value;
  if (!signedIn) return null;
  const lines = Object.entries(words.limits).flatMap(([name, what]) => {
    const limit = signedIn.limits[name];
    return limit ? [html`<li>${lineOf(limit, what)}</li>`] : [];
  });
  return html`<section id="account" aria-label=${words.signedIn}>
    <p>
      <span class="user" dir="auto">${signedIn.id}</span>
      <button id="sign-out" type="button" class="quiet" onClick=${() => void leave()}>${words.signOut}</button>
    </p>
    <ul class="limits faint">${lines}</ul>
  </section>`;
}

/** @param {User['limits'][string]} limit @param {string} what */
function lineOf({ limit, left, resetMs = 0 }, what) {
  const whole = (/** @type {number} */ value) => count(Math.max(0, Math.floor(value)));
  const again = left < limit && resetMs > 0 ? words.allLeftIn(inWords(resetMs)) : '';
  return `${words.left(whole(left), whole(limit), what)}${again}`;
}
