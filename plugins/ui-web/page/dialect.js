import { Marked } from 'marked';
import { BoundedLexer, bounds } from './bounded-lexer.js';
import { escaped } from './elements.js';
import { formulas } from './formula-syntax.js';

const harmless = /^<\/?(?:br|sub|sup|kbd)\s*\/?>$/i;

const marked = new Marked(bounds, formulas, {
  gfm: true,
  tokenizer: {
    // One tilde means about or a range; two mean strikethrough.
    del(source) {
      return source.startsWith('~~') ? false : undefined;
    },
  },
  renderer: {
    // HTML from a model is shown as source.
    html({ text, block }) {
      if (harmless.test(text.trim())) return text;
      return block ? `<p>${escaped(text)}</p>` : escaped(text);
    },
    // An image would make a request to a host chosen by the text.
    image({ href, text }) {
      return `<a href="${escaped(href)}">${escaped(text || 'picture')}</a>`;
    },
    // The levels above belong to the page.
    heading({ tokens, depth }) {
      const level = Math.min(6, Math.max(3, depth + 1));
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
  },
});

/**
 * The blocks of a Markdown text; none if a bound is exceeded or the parser fails.
 * @param {string} source
 * @param {number} until
 * @returns {import('marked').Token[]}
 */
export function blocksOf(source, until) {
  const lexer = new BoundedLexer(marked.defaults, until);
  try {
    const tokens = lexer.blockTokens(source, []);
    return lexer.isCut ? [] : tokens;
  } catch {
    // It is rendered as a whole, which reports the error.
    return [];
  }
}

/**
 * Markdown as HTML, and whether all of it was parsed: text beyond the bounds stays plain.
 * @param {string} source
 * @param {number} until
 */
export function htmlOf(source, until) {
  const lexer = new BoundedLexer(marked.defaults, until);
  const html = marked.parser(lexer.lex(source));
  return { html, isWhole: !lexer.isCut };
}
