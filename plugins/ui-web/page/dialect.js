import { Marked } from 'marked';
import { BoundedLexer, bounds } from './bounded-lexer.js';
import { escaped } from './elements.js';
import { formulas } from './formula-syntax.js';

const harmless = /^<\/?(?:br|sub|sup|kbd)\s*\/?>$/i;

const marked = new Marked(bounds, formulas, {
  gfm: true,
  tokenizer: {
    // One tilde is an approximation or a range; two strike through.
    del(source) {
      return source.startsWith('~~') ? false : undefined;
    },
  },
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

/**
 * Cuts Markdown into blocks; none if it is too much, takes too long, or fails.
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
    // It is rendered as one, which tells.
    return [];
  }
}

/**
 * Markdown as HTML, and whether it is that to its end: what is too much is plain text.
 * @param {string} source
 * @param {number} until
 */
export function htmlOf(source, until) {
  const lexer = new BoundedLexer(marked.defaults, until);
  const html = marked.parser(lexer.lex(source));
  return { html, isWhole: !lexer.isCut };
}
