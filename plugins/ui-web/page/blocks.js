import { timeFor } from './bounded-lexer.js';
import { blocksOf } from './dialect.js';

/**
 * Splits growing Markdown into blocks. A returned block is settled: no later text changes it, so it is parsed once,
 * however long the whole becomes.
 */
export class Blocks {
  #open = '';

  /** Text that is not settled. */
  get open() {
    return this.#open;
  }

  /**
   * Adds text and returns the blocks that it settles.
   * @param {string} text
   * @param {number} [until] time limit of the parser
   * @returns {string[]}
   */
  push(text, until) {
    this.#open += text.replaceAll('\r', '');
    // Only whole lines are conclusive: "2" is a paragraph until "2. " continues the list above it.
    if (!text.includes('\n')) return [];
    const lines = this.#open.slice(0, this.#open.lastIndexOf('\n') + 1);
    if (openFence(lines)) return [];
    const tokens = blocksOf(lines, until ?? timeFor(lines.length));
    let last = tokens.length - 1;
    while (last > 0 && tokens[last]?.type === 'space') last--;
    const settled = tokens.slice(0, Math.max(0, last)).map(({ raw }) => raw);
    const whole = settled.join('');
    // The parser rewrites some characters; then its block differs from the source.
    if (!lines.startsWith(whole)) return [];
    this.#open = this.#open.slice(whole.length);
    return settled;
  }
}

/**
 * The fence of a code block that is open at the end of this text, if it begins with one.
 * @param {string} text
 * @returns {string | undefined}
 */
export function openFence(text) {
  const [opening, fence] = /^ {0,3}(`{3,}(?=[^`\n]*\n)|~{3,})[^\n]*\n/.exec(text) ?? [];
  if (opening === undefined || fence === undefined) return undefined;
  const closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`, 'm');
  return closing.test(text.slice(opening.length)) ? undefined : fence;
}
