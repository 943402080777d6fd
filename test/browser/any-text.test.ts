import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { hardTexts, times } from './hard-texts.js';
import { answer, answered, connected, Stage, send } from './stage.js';

const stage = new Stage();
/** The conversation that is open can go on. */
async function goesOn(page: Page): Promise<void> {
  stage.script(text('All is well.'), done);
  await send(page, 'And now?');
  await untilText(page.locator('.answer .markdown').nth(1), 'All is well.');
  await answered(page);
}

/** One or two of a kind: the rest is read by the same code, which needs no browser (`hard-texts.test.ts`). */
const inBrowser = new Set([
  ...['quotes in quotes', 'lists in lists by tabs', 'emphasis in emphasis', 'underscores within words'],
  ...['backticks only', 'brackets in brackets', 'a wide table with many short rows', 'a long word'],
  ...['a long paragraph', 'halves of characters', 'null characters', 'controls of direction', 'HTML'],
  ...['fences that never end', 'formulas in formulas', 'many formulas'],
]);

describe('any text', () => {
  it.each(hardTexts.filter(([name]) => inBrowser.has(name)))(
    'is shown, ends and stays, and the conversation goes on: %s',
    async (_, source) => {
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
    },
  );

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
