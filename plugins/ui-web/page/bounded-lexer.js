import { Lexer } from 'marked';

// Above any human text, below the output of a runaway model.
const maxDepth = 20;
const maxInlineChars = 8000;
const maxCells = 30_000;
export const maxBlocks = 5000;
const leastMs = 400;
const mostMs = 2000;
const charsPerMs = 100;

/** Time limit for a text of this length: many times the usual time. @param {number} chars */
export function timeFor(chars) {
  return performance.now() + Math.min(mostMs, leastMs + chars / charsPerMs);
}

/** A Markdown lexer with bounds on depth, length and time. Text beyond them stays plain. */
export class BoundedLexer extends Lexer {
  /** Whether a bound was exceeded. */
  isCut = false;
  #until;
  #depth = 0;
  #blocks = 0;

  /** @param {import('marked').MarkedOptions} options @param {number} until */
  constructor(options, until) {
    super(options);
    this.#until = until;
  }

  /** Counts a block. True if the rest stays plain text. */
  nextBlock() {
    this.isCut ||= ++this.#blocks > maxBlocks;
    return this.isBeyond;
  }

  /** True if the rest stays plain text. */
  get isBeyond() {
    this.isCut ||= performance.now() > this.#until;
    return this.isCut || this.#depth > maxDepth;
  }

  /**
   * @override
   * @param {string} source
   * @param {any} [tokens]
   * @param {boolean} [lastParagraphClipped]
   * @returns {any}
   */
  blockTokens(source, tokens, lastParagraphClipped) {
    return this.#deeper(() => super.blockTokens(source, tokens, lastParagraphClipped));
  }

  /** @override @param {string} source @param {import('marked').Token[]} [tokens] */
  inlineTokens(source, tokens = []) {
    if (source.length <= maxInlineChars) return this.#deeper(() => super.inlineTokens(source, tokens));
    tokens.push(plain(source));
    return tokens;
  }

  /** @template T @param {() => T} look @returns {T} */
  #deeper(look) {
    this.#depth++;
    try {
      return look();
    } finally {
      this.#depth--;
    }
  }
}

/** Asks the lexer before each step whether a bound is exceeded. @type {import('marked').MarkedExtension} */
export const bounds = {
  extensions: [
    {
      name: 'beyondBlocks',
      level: 'block',
      tokenizer(source) {
        if (!(this.lexer instanceof BoundedLexer && this.lexer.nextBlock())) return undefined;
        return { type: 'paragraph', raw: source, text: source, tokens: this.lexer.inline(source) };
      },
    },
    {
      name: 'beyondInline',
      level: 'inline',
      tokenizer(source) {
        return this.lexer instanceof BoundedLexer && this.lexer.isBeyond ? plain(source) : undefined;
      },
    },
  ],
  tokenizer: {
    // Rows are padded to the width of the first: a few characters can create a whole row of elements.
    table(source) {
      return cellsOf(source) > maxCells ? undefined : false;
    },
  },
};

/** @param {string} text @returns {import('marked').Tokens.Text} */
function plain(text) {
  return { type: 'text', raw: text, text };
}

/** Upper bound of the cells of a table that begins here. @param {string} source */
function cellsOf(source) {
  const [head = '', rule = ''] = source.split('\n', 2);
  if (!/^[ |:-]+$/.test(rule)) return 0;
  const end = source.indexOf('\n\n');
  const rows = source.slice(0, end < 0 ? source.length : end).split('\n').length;
  return head.split('|').length * rows;
}
