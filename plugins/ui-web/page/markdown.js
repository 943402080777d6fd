import DOMPurify from 'dompurify';
import { htmlOf } from './dialect.js';
import { direct } from './directions.js';
import { element } from './elements.js';
import { words } from './words.js';

const allowed = {
  ALLOWED_TAGS: [
    ...['p', 'br', 'hr', 'h3', 'h4', 'h5', 'h6', 'strong', 'em', 'del', 'code', 'pre', 'ul', 'ol', 'li'],
    ...['blockquote', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'input', 'sub', 'sup', 'kbd', 'span'],
  ],
  ALLOWED_ATTR: ['href', 'title', 'align', 'start', 'type', 'checked', 'disabled', 'class'],
  // Not addresses, so not checked against the expression below.
  ADD_URI_SAFE_ATTR: ['align', 'start', 'type'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

/**
 * Markdown as elements that run, load and style nothing, and as HTML for comparison.
 * @typedef {object} Rendered
 * @property {string} html
 * @property {boolean} isWhole whether all of it was parsed
 * @property {DocumentFragment} elements
 */

/**
 * Renders texts separately. A text that cannot be rendered stays plain.
 * @param {readonly string[]} sources
 * @param {number} until time limit
 * @param {string} [known] HTML that is already shown: no elements are created for the same
 * @returns {Rendered}
 */
export function render(sources, until, known) {
  try {
    const all = sources.map((source) => htmlOf(source, until));
    const html = all.map((each) => each.html).join('');
    const isWhole = all.every((each) => each.isWhole);
    return { html, isWhole, elements: html === known ? document.createDocumentFragment() : elementsOf(html) };
  } catch (error) {
    console.info('a text stays plain:', error);
    const elements = document.createDocumentFragment();
    elements.append(element('p', { className: 'plain', dir: 'auto' }, sources.join('')));
    return { html: '', isWhole: false, elements };
  }
}

/** @param {string} html */
function elementsOf(html) {
  const fragment = /** @type {DocumentFragment} */ (
    /** @type {unknown} */ (DOMPurify.sanitize(html, allowed))
  );
  for (const link of fragment.querySelectorAll('a')) finishLink(link);
  for (const code of fragment.querySelectorAll('pre > code')) frameCode(/** @type {HTMLElement} */ (code));
  for (const head of fragment.querySelectorAll('th:empty')) head.replaceWith(element('td'));
  direct(fragment);
  for (const table of fragment.querySelectorAll('table')) {
    const frame = element('div', {
      className: 'table',
      tabIndex: 0,
      role: 'group',
      'aria-label': words.table,
    });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const box of fragment.querySelectorAll('input')) {
    box.disabled = true;
    box.setAttribute('aria-label', box.checked ? words.done : words.notDone);
  }
  return fragment;
}

/** @param {HTMLAnchorElement} link */
function finishLink(link) {
  if (!link.hasAttribute('href')) return link.replaceWith(...link.childNodes);
  link.target = '_blank';
  link.rel = 'noopener noreferrer nofollow';
}

/** Adds the language and a copy button above a code block. @param {HTMLElement} code */
function frameCode(code) {
  const language = /(?:^|\s)language-([\w+#.-]{1,30})/.exec(code.className)?.[1] ?? 'text';
  code.className = `language-${language}`;
  const pre = /** @type {HTMLElement} */ (code.parentElement);
  const copy = element(
    'button',
    { type: 'button', className: 'quiet copy', 'aria-label': words.copyCode },
    words.copy,
  );
  const frame = element(
    'figure',
    { className: 'code' },
    element('figcaption', {}, element('span', {}, language), copy),
  );
  pre.tabIndex = 0;
  pre.setAttribute('role', 'group');
  pre.setAttribute('aria-label', words.code(language));
  pre.replaceWith(frame);
  frame.append(pre);
}
