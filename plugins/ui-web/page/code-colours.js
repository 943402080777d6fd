import DOMPurify from 'dompurify';
import { Chores } from './chores.js';

const maxChars = 30_000;
const allowed = {
  ALLOWED_TAGS: ['span'],
  ALLOWED_ATTR: ['class'],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

/** @type {typeof import('@highlightjs/cdn-assets/es/highlight.min.js').default | undefined} */
let highlighter;
const chores = new Chores(async () => {
  highlighter ??= (await import('@highlightjs/cdn-assets/es/highlight.min.js')).default;
});

/** Highlights the code in an element, shortly after. Unknown languages and very long code stay plain. @param {HTMLElement} root */
export function colourCode(root) {
  for (const code of root.querySelectorAll('pre > code')) {
    const language = code.className.replace('language-', '').toLowerCase();
    const source = code.textContent ?? '';
    if (language === 'text' || source.length > maxChars) continue;
    chores.add(() => {
      if (!highlighter?.getLanguage(language) || !code.isConnected) return;
      const { value } = highlighter.highlight(source, { language, ignoreIllegals: true });
      const coloured = /** @type {DocumentFragment} */ (
        /** @type {unknown} */ (DOMPurify.sanitize(value, allowed))
      );
      // The highlighter may lose some characters.
      if (coloured.textContent === source) code.replaceChildren(coloured);
    });
  }
}
