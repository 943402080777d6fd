import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { answer, answered, connected, Stage, send } from './stage.js';

const stage = new Stage();
const times = (part: string, count: number) => part.repeat(count);
const steps = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');

/** What has stopped pages: deep, long, or slow to read. */
const texts: readonly (readonly [name: string, text: string])[] = [
  ['quotes in quotes', times('> ', 4000)],
  ['quotes without blanks', `${times('>', 20_000)}x`],
  ['lists in lists', `${times('- ', 4000)}x`],
  ['lists in lists by tabs', `${times('-\t', 4000)}x`],
  ['lists in lists by lines', steps(500, (index) => `${times('  ', index)}- x`)],
  ['numbered lists in lists', `${times('1. ', 3000)}x`],
  ['quotes and lists in one another', `${times('> - ', 3000)}x`],
  ['almost a rule', `${times('- ', 30_000)}a`],
  ['emphasis in emphasis', `${times('*a **b ', 8000)}${times('** c*', 8000)}`],
  ['emphasis that never ends', times('*a_ ', 20_000)],
  ['underscores within words', times('_a', 50_000)],
  ['stars only', `${times('*', 20_000)}a${times('*', 20_000)}`],
  ['backticks only', times('`', 100_000)],
  ['code that never ends', times('` a ``', 20_000)],
  ['opening brackets', times('[', 50_000)],
  ['brackets in brackets', `${times('[', 20_000)}a${times(']', 20_000)}`],
  ['links in links', times('[a](', 20_000)],
  ['pictures in links', times('![[]()', 20_000)],
  ['references', `${times('[a]: b\n', 3000)}${times('[a] ', 5000)}`],
  ['a long table', `|a|b|\n|-|-|\n${times('|1|2|\n', 20_000)}`],
  [
    'a wide table with many short rows',
    `${times('|a', 1000)}\n${times('|-', 1000)}\n${times('|\n', 30_000)}`,
  ],
  ['pipes only', times('|', 100_000)],
  ['a long list', times('- a\n', 10_000)],
  ['underlined headings', times('a\n-\n', 10_000)],
  ['a long word', times('x', 500_000)],
  ['a long word with an at sign', `${times('a', 100_000)}@`],
  ['a long address', `${times('a.a_', 30_000)}@b`],
  ['a long paragraph', times('some **words** and ', 30_000)],
  ['lines without end', times('a line\n', 50_000)],
  ['empty lines', `${times('\n', 100_000)}x`],
  ['halves of characters', times('\ud83d x \udc1d\n', 2000)],
  ['null characters', times('a\0b \0\n', 5000)],
  ['controls of direction', `${times('\u202e\u2067\u202d', 5000)}abc`],
  ['signs on signs', `Z${times('\u0300\u0301\u0489', 20_000)}`],
  ['HTML', times('<div>\n<b a="', 20_000)],
  ['tags that never end', times('<a ', 30_000)],
  ['comments that never end', times('<!-- ', 30_000)],
  ['fences that never end', times('```\n', 20_001)],
  ['fences in fences', steps(300, (index) => times('`', index + 3))],
  ['formulas that never end', times('$a \\(b \\[c ', 10_000)],
  ['formulas in formulas', `$$${times('\\frac{', 150)}${times('1}{2}', 150)}$$`],
  ['formulas that call themselves', '$$\\def\\a{\\a\\a}\\a$$ $\\def\\b{bb}\\def\\c{\\b\\b\\b\\b}\\c\\c$'],
  ['many formulas', times('$x^2$ ', 5000)],
  ['code of a known language', `\`\`\`js\n${times('let a = `${`', 4000)}\n\`\`\``],
];

/** The conversation that is open can go on. */
async function goesOn(page: Page): Promise<void> {
  stage.script(text('All is well.'), done);
  await send(page, 'And now?');
  await untilText(page.locator('.answer .markdown').nth(1), 'All is well.');
  await answered(page);
}

describe('any text', () => {
  it.each(texts)('is shown, ends and stays, and the conversation goes on: %s', async (_, source) => {
    // In pieces, as models send it.
    const size = Math.ceil(source.length / 40);
    const pieces = Array.from({ length: 40 }, (_, index) => source.slice(index * size, (index + 1) * size));
    stage.script(...pieces.filter(Boolean).map(text), text('\n\nThe end.'), done);
    const page = await stage.chat();
    await send(page, 'Say it');
    await answered(page);
    expect(await answer(page)).toMatch(/The end\.$/);
    await page.reload();
    await answered(page);
    expect(await answer(page)).toMatch(/The end\.$/);
    await goesOn(page);
  });

  it.each([
    [
      'the parser',
      'marked.esm.js',
      'const fail = () => { throw new Error("broken"); };\n' +
        'export class Marked { defaults = {}; parser = fail; }\n' +
        'export class Lexer { lex = fail; blockTokens() { fail(); } }',
    ],
    ['the sanitiser', 'purify.es.mjs', 'export default { sanitize() { throw new Error("broken"); } };'],
  ])('stays plain where %s fails', async (_, file, body) => {
    const page = await stage.chat();
    await page.route(`**/library/${file}`, (route) =>
      route.fulfill({ contentType: 'text/javascript', body }),
    );
    await page.reload();
    await connected(page);
    stage.script(text('# One\n\n**two**'), 'wait', text('\n\n$x$'), done);
    await send(page, 'Say it');
    await untilText(page.locator('.answer .plain'), '**two**');
    stage.agent.release();
    await answered(page);
    expect(await answer(page)).toBe('# One\n\n**two**\n\n$x$');
    await page.reload();
    await answered(page);
    expect(await answer(page)).toBe('# One\n\n**two**\n\n$x$');
    await goesOn(page);
  });

  it('is plain only where it is too much', async () => {
    const long = times('**word** and ', 1000);
    stage.script(text(`# Title\n\n**bold**\n\n${long}\n\n${times('> ', 100)}deep\n\n*last*\n`), done);
    const page = await stage.chat();
    await send(page, 'Say it');
    await answered(page);
    expect(await page.locator('.markdown :is(h3, strong, em)').allTextContents()).toEqual([
      ...['Title', 'bold', 'last'],
    ]);
    expect(await answer(page)).toContain(long.trim());
    expect(await page.locator('.markdown blockquote').count()).toBeLessThan(30);
  });
});
