import { escaped } from './elements.js';

const maxChars = 2000;
// How far ahead to search for a formula that ends a paragraph.
const searchedChars = 10_000;

/** @param {string} opening @param {string} each pattern of the content @param {string} closing */
const between = (opening, each, closing) => new RegExp(`^${opening}((?:${each}){1,${maxChars}}?)${closing}`);
const kinds = [
  { pattern: between('\\$\\$(?!\\$)', '\\\\[^]|[^\\\\$]', '\\$\\$(?!\\$)'), display: true },
  {
    pattern: between('\\$(?![\\s$])', '\\\\.|[^\\\\$\\n]', '(?<!\\s)\\$(?!\\$|(?!(?:st|nd|rd|th|s)\\b)\\w)'),
    display: false,
  },
  { pattern: between('\\\\\\[', '\\\\[^[\\]]|[^\\\\]', '\\\\\\](?!\\()'), display: true },
  { pattern: between('\\\\\\(', '\\\\[^()]|[^\\\\]', '\\\\\\)'), display: false },
];
const opening = /\$|\\[([]/;
// Code and escapes take precedence, as in the lexer.
const codeOrOpening = /`+[^`]*`+|\\[^([]|\$|\\[([]/g;

/**
 * The formula at the beginning of a text: `$…$` or `\(…\)` inline, `$$…$$` or `\[…\]` as a block.
 * @param {string} text
 * @param {string} [before] the text in front of it
 */
function formulaAt(text, before = '') {
  if (text[0] === '$' ? /[\w$\\]$/.test(before) : text[0] !== '\\') return undefined;
  for (const { pattern, display } of kinds) {
    const [raw, tex = ''] = pattern.exec(text) ?? [];
    if (raw === undefined) continue;
    const isOther = text[0] === '$' ? isProse(tex) : isMark(tex);
    if (!isOther && !/\n[ \t]*\n/.test(tex)) return { type: 'formula', raw, display };
  }
  return undefined;
}

/** Whether it is rather prices or names: "$5 and 6$", "$$ or $$". @param {string} tex */
function isProse(tex) {
  if (tex.includes('\\')) return false;
  const words = tex.match(/(?<!\S)\p{L}{2,}(?=[\s,.;:!?)]|$)/gu)?.length ?? 0;
  const isAmount = /^\d[\d.,]*[kKmMbB%]?\s/.test(tex);
  return words > (isAmount ? 0 : 1) || tex.includes('**') || /^\s+(?:\p{L}{2,}\s+)?$/u.test(tex);
}

/** Whether it is rather escaped brackets: "\[1\]", "\[x\]". @param {string} tex */
function isMark(tex) {
  return /^\s*(?:\d+|[xX])?\s*$/.test(tex);
}

/** Formulas in Markdown, rendered as their source. @type {import('marked').MarkedExtension} */
export const formulas = {
  extensions: [
    {
      name: 'formulaBlock',
      level: 'block',
      start: (source) => endOf(source.slice(0, searchedChars).search(/\n {0,3}(?:\$\$|\\\[)/)),
      tokenizer(source) {
        const [indent = ''] = /^ {0,3}(?=\$\$|\\\[)/.exec(source) ?? [];
        const found = formulaAt(source.slice(indent.length));
        const [end] = /^[ \t]*(?:\n|$)/.exec(source.slice(indent.length + (found?.raw.length ?? 0))) ?? [];
        if (!found?.display || end === undefined) return undefined;
        return { ...found, type: 'formulaBlock', raw: indent + found.raw + end };
      },
      renderer: (token) => `<p>${shown(token)}</p>\n`,
    },
    {
      name: 'formula',
      level: 'inline',
      start: (source) => endOf(source.search(opening)),
      tokenizer: (source, tokens) => formulaAt(source, tokens.at(-1)?.raw),
      renderer: shown,
    },
  ],
  hooks: {
    // A star within a formula is not emphasis.
    emStrongMask(source) {
      let masked = '';
      for (const {
        index,
        0: { length },
      } of source.matchAll(codeOrOpening)) {
        if (index < masked.length || length > 2) continue;
        const { raw } = formulaAt(source.slice(index), source.slice(0, index).slice(-1)) ?? {};
        if (raw) masked += source.slice(masked.length, index) + 'a'.repeat(raw.length);
      }
      return masked + source.slice(masked.length);
    },
  },
};

/** @param {number} index */
function endOf(index) {
  return index < 0 ? undefined : index;
}

/** @param {import('marked').Tokens.Generic} token */
function shown({ raw, display }) {
  return `<span class="formula${display ? ' display' : ''}">${escaped(raw.trim())}</span>`;
}
