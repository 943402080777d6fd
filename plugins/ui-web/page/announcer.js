import { element } from './elements.js';

const maxLines = 20;
// A longer text is cut: the rest is on the page.
const maxChars = 5000;

/** Says a text to screen readers, politely and in order, through a hidden live region. @param {string} text */
export function announce(text) {
  const region = document.getElementById('spoken');
  if (text.trim() === '' || !region) return;
  region.append(element('p', {}, text.slice(0, maxChars)));
  while (region.childElementCount > maxLines) region.firstElementChild?.remove();
}
