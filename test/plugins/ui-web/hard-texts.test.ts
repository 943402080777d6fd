import { describe, expect, it } from 'vitest';
import { timeFor } from '../../../plugins/ui-web/page/bounded-lexer.js';
import { blocksOf, htmlOf } from '../../../plugins/ui-web/page/dialect.js';
import { hardTexts } from '../../browser/hard-texts.js';

const depthOf = (html: string) => {
  let depth = 0;
  let most = 0;
  for (const [tag] of html.matchAll(/<\/?(?:blockquote|[uo]l|strong|em|del)\b/g)) {
    depth += tag.startsWith('</') ? -1 : 1;
    most = Math.max(most, depth);
  }
  return most;
};

describe('what has stopped pages', () => {
  it.each(hardTexts)('is cut into blocks and becomes HTML of a bounded depth: %s', (_, source) => {
    expect(() => blocksOf(source, timeFor(source.length))).not.toThrow();
    const { html } = htmlOf(source, timeFor(source.length));
    expect(depthOf(html)).toBeLessThan(60);
    expect(html.length).toBeLessThan(50 * source.length + 1000);
  });
});
