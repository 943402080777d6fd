import { timeFor } from './bounded-lexer.js';
import { blocksOf } from './dialect.js';

/**
 * Cuts Markdown that is still coming into blocks. What it gives is settled: nothing that follows changes it any more.
 * So each block is looked at until it ends and never again, however long the whole becomes.
 */
export class Blocks {
  #open = '';

  /** What has not settled yet. */
  get open() {
    return this.#open;
  }

  /**
   * Takes more text, and gives the blocks that it has settled.
   * @param {string} text
   * @param {number} [until] when it may look at it
   * @returns {string[]}
   */
  push(text, until) {
    this.#open += text.replaceAll('\r', '');
    // Only whole lines tell: "2" is a paragraph until "2. " goes on with the list above it.
    if (!text.includes('\n')) return [];
    const lines = this.#open.slice(0, this.#open.lastIndexOf('\n') + 1);
    if (openFence(lines)) return [];
    const tokens = blocksOf(lines, until ?? timeFor(lines.length));
    let last = tokens.length - 1;
    while (last > 0 && tokens[last]?.type === 'space') last--;
    const settled = tokens.slice(0, Math.max(0, last)).map(({ raw }) => raw);
    const whole = settled.join('');
    // The parser rewrites some odd characters; then what it calls a block is not what was written.
    if (!lines.startsWith(whole)) return [];
    this.#open = this.#open.slice(whole.length);
    return settled;
  }
}

/**
 * The fence of a block of code that begins this text and has not ended in it.
 * @param {string} text
 * @returns {string | undefined}
 */
export function openFence(text) {
  const [opening, fence] = /^ {0,3}(`{3,}(?=[^`\n]*\n)|~{3,})[^\n]*\n/.exec(text) ?? [];
  if (opening === undefined || fence === undefined) return undefined;
  const closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`, 'm');
  return closing.test(text.slice(opening.length)) ? undefined : fence;
}
