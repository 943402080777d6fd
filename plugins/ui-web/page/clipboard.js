import { element } from './elements.js';
import { words } from './words.js';

/** Copies text, also on pages without HTTPS, which have no clipboard API. @param {string} text */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = element('textarea', { value: text, className: 'unseen', 'aria-hidden': 'true' });
  const before = document.activeElement;
  document.body.append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  if (before instanceof HTMLElement) before.focus();
  if (!copied) throw new Error('the browser does not let this page copy');
}

/** Copies text and shows the result on the button for a moment. @param {HTMLButtonElement} button @param {string} text */
export async function copyFrom(button, text) {
  const label = button.dataset.label ?? button.textContent ?? '';
  button.dataset.label = label;
  const done = await copy(text).then(
    () => words.copied,
    () => words.notCopied,
  );
  button.textContent = done;
  setTimeout(() => {
    button.textContent = label;
  }, 1500);
  return done;
}
