import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';

/** A text is searched up to here: a pattern takes time in proportion to it. */
const searchLimitChars = 4000;

/** Whether `text` is a pattern of a route. */
export function isPattern(text: string): boolean {
  try {
    compile(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Words that a text has, in any case, or a regular expression between slashes. In the syntax of RE2, whose search takes linear
 * time: no text makes it run away.
 */
export class TextPattern {
  readonly #pattern: RE2JS;

  constructor(text: string) {
    this.#pattern = compile(text);
  }

  isIn(text: string): boolean {
    return this.#pattern.matcher(text.slice(0, searchLimitChars)).find();
  }
}

function compile(text: string): RE2JS {
  // Only a server with routes loads it.
  const { RE2JS } = createRequire(import.meta.url)('re2js') as typeof import('re2js');
  const [, expression, flags = ''] = /^\/(.+)\/(i?)$/s.exec(text) ?? [];
  if (expression !== undefined) return RE2JS.compile(`${flags && '(?i)'}${expression}`);
  const words = text
    .trim()
    .split(/\s+/)
    .map((word) => RE2JS.quote(word));
  return RE2JS.compile(`(?i)(?:^|[^\\pL\\pN])${words.join('\\s+')}(?:$|[^\\pL\\pN])`);
}
