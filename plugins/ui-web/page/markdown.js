import DOMPurify from 'dompurify';
import { Marked } from 'marked';
import { element } from './elements.js';

const harmless = /^<\/?(?:br|sub|sup|kbd)\s*\/?>$/i;

const marked = new Marked({
  gfm: true,
  renderer: {
    // What a model writes as HTML is shown as what it wrote.
    html({ text, block }) {
      if (harmless.test(text.trim())) return text;
      return block ? `<p>${escaped(text)}</p>` : escaped(text);
    },
    // A picture would be a request to another host, made by whoever wrote the text.
    image({ href, text }) {
      return `<a href="${escaped(href)}">${escaped(text || 'picture')}</a>`;
    },
    // The page itself has the levels above.
    heading({ tokens, depth }) {
      const level = Math.min(6, Math.max(3, depth + 1));
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
  },
});

const allowed = {
  ALLOWED_TAGS: [
    ...['p', 'br', 'hr', 'h3', 'h4', 'h5', 'h6', 'strong', 'em', 'del', 'code', 'pre', 'ul', 'ol', 'li'],
    ...['blockquote', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'input', 'sub', 'sup', 'kbd'],
  ],
  ALLOWED_ATTR: ['href', 'title', 'align', 'start', 'type', 'checked', 'disabled', 'class'],
  // Not addresses, and so not held against the expression below.
  ADD_URI_SAFE_ATTR: ['align', 'start', 'type'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

/**
 * Markdown as elements, of which none runs, loads or styles anything.
 * @param {string} source
 * @returns {DocumentFragment}
 */
export function render(source) {
  const html = marked.parse(source, { async: false });
  const fragment = /** @type {DocumentFragment} */ (
    /** @type {unknown} */ (DOMPurify.sanitize(html, allowed))
  );
  for (const link of fragment.querySelectorAll('a')) finishLink(link);
  for (const code of fragment.querySelectorAll('pre > code')) frameCode(/** @type {HTMLElement} */ (code));
  for (const table of fragment.querySelectorAll('table')) {
    const frame = element('div', { className: 'table', tabIndex: 0, role: 'group', 'aria-label': 'Table' });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const head of fragment.querySelectorAll('th:empty')) head.replaceWith(element('td'));
  for (const box of fragment.querySelectorAll('input')) {
    box.disabled = true;
    box.setAttribute('aria-label', box.checked ? 'done' : 'not done');
  }
  return fragment;
}

/** @param {HTMLAnchorElement} link */
function finishLink(link) {
  if (!link.hasAttribute('href')) return link.replaceWith(...link.childNodes);
  link.target = '_blank';
  link.rel = 'noopener noreferrer nofollow';
}

/** Puts the language and a button to copy above a block of code. @param {HTMLElement} code */
function frameCode(code) {
  const language = /(?:^|\s)language-([\w+#.-]{1,30})/.exec(code.className)?.[1] ?? 'text';
  code.removeAttribute('class');
  const pre = /** @type {HTMLElement} */ (code.parentElement);
  const copy = element(
    'button',
    { type: 'button', className: 'quiet copy', 'aria-label': 'Copy code' },
    'Copy',
  );
  const frame = element(
    'figure',
    { className: 'code' },
    element('figcaption', {}, element('span', {}, language), copy),
  );
  pre.tabIndex = 0;
  pre.setAttribute('role', 'group');
  pre.setAttribute('aria-label', `Code, ${language}`);
  pre.replaceWith(frame);
  frame.append(pre);
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
