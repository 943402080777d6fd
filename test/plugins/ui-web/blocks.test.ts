import fc from 'fast-check';
import { Lexer, marked } from 'marked';
import { describe, expect, it, vi } from 'vitest';
import { Blocks, openFence } from '../../../plugins/ui-web/page/blocks.js';
import { times } from '../../support/thorough.js';

/** The blocks that come out when a text comes in these pieces; the last one is what was still open. */
function blocksOf(pieces: readonly string[]): readonly string[] {
  const blocks = new Blocks();
  const settled = pieces.flatMap((piece) => blocks.push(piece));
  return [...settled, blocks.open];
}

const html = (blocks: readonly string[]) =>
  blocks
    .map((block) => marked.parse(block, { async: false }))
    .join('')
    // Blank lines between blocks show nowhere, nor does what a line of a paragraph is indented by.
    .replace(/\s+/g, '');

// No underlined headings: within lists marked itself reads them in two ways. The page renders the whole in the end.
const line = fc.constantFrom(
  ...[
    'text',
    '  more text',
    '# title',
    '## **b** `c`',
    '- item',
    '- [x] done',
    '  - inner',
    '    code',
    '1. one',
    '2. two',
  ],
  ...[
    '3) three',
    '> quote',
    '```js',
    '```',
    '~~~~',
    '~~~',
    '| a | b |',
    '|---|--:|',
    '| 1 | 2 |',
    '---',
    '***',
  ],
  ...[
    '<div>',
    '</div>',
    '<b>x</b>',
    '[a](https://b.c)',
    '**bold',
    '*',
    '-',
    '+',
    '2',
    '`code',
    '\\',
    'a\\',
    '&amp;',
    '\t',
  ],
);
const document = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\n', '\n\n', '\n \n', '\r\n', '\n\n\n', ' ')), {
    maxLength: 14,
  })
  .map((lines) => lines.flat().join(''));
/** The document and where it is cut. */
const cut = fc.tuple(document, fc.array(fc.nat({ max: 300 }), { maxLength: 20 })).map(([text, places]) => {
  const at = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => text.slice(from, at[index] ?? text.length));
});

describe('Markdown in pieces', () => {
  it('means what it means as a whole, wherever it is cut', () => {
    fc.assert(
      fc.property(cut, (pieces) => {
        const whole = pieces.join('').replaceAll('\r', '');
        const blocks = blocksOf(pieces);
        expect(blocks.join('')).toBe(whole);
        expect(html(blocks)).toBe(html([whole]));
      }),
      { numRuns: times(2000) },
    );
  });

  it('settles what has ended, and only that', () => {
    const blocks = new Blocks();
    expect(blocks.push('# Title\n\nA para')).toEqual([]);
    expect(blocks.push('graph\n')).toEqual(['# Title', '\n\n']);
    expect(blocks.push('\n1. one\n\n')).toEqual(['A paragraph', '\n\n']);
    // A paragraph, it seems; but the list goes on.
    expect(blocks.push('2')).toEqual([]);
    expect(blocks.push('. two\n')).toEqual([]);
    expect(blocks.open).toBe('1. one\n\n2. two\n');
  });

  it('looks at each block a few times, however long the whole is', () => {
    const seen = vi.spyOn(Lexer.prototype, 'blockTokens');
    const costOf = (paragraphs: number) => {
      seen.mockClear();
      const blocks = new Blocks();
      for (let index = 0; index < paragraphs; index++)
        for (const word of 'Some words of one more paragraph.\n\n'.split(/(?<= )/)) blocks.push(word);
      return seen.mock.calls.reduce((sum, [text]) => sum + text.length, 0) / paragraphs;
    };
    expect(costOf(2000)).toBeLessThan(2 * costOf(20));
    seen.mockClear();
    const code = new Blocks();
    code.push('```js\n');
    for (let index = 0; index < 2000; index++) code.push('let a = 1;\n');
    expect(seen).not.toHaveBeenCalled();
    seen.mockRestore();
  });
});

describe('a fence', () => {
  it.each([
    ['```js\ncode', '```'],
    ['```\n``` not the end\n', '```'],
    ['````\n```\n', '````'],
    ['~~~ js `x`\n```\n', '~~~'],
    ['```js\ncode\n```\n', undefined],
    ['```js\n```', undefined],
    ['~~~\n~~~~~  \n', undefined],
    ['``` `inline` ```\n', undefined],
    ['```js', undefined],
    ['text\n```\n', undefined],
  ])('of %j is open: %j', (text, fence) => {
    expect(openFence(text)).toBe(fence);
  });
});
