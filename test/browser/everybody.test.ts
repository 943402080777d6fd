import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { faults } from './faults.js';
import { answer, answered, connected, Stage, send } from './stage.js';

const stage = new Stage();
const everything = `## Title

A paragraph with \`code\`, a [link](https://example.org) and ${'averylongword'.repeat(20)}.

| a | b | c | d | e | f | g | h |
|---|---|---|---|---|---|---|---|
| one cell | one cell | one cell | one cell | one cell | one cell | one cell | one cell |

\`\`\`js
const line = '${'long '.repeat(60)}';
\`\`\`

- [x] one
- two

> a quotation

`;

async function fits(page: Page): Promise<void> {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  expect(content).toBe(window);
}

describe('without a mouse', () => {
  it('one asks, writes two lines, stops, begins anew, chooses who answers, and finds the keys', async () => {
    stage.script(text('One '), 'wait', text('two'), done);
    const page = await stage.chat();
    const focused = () => page.evaluate(() => document.activeElement?.id);
    expect(await focused()).toBe('message');
    await page.keyboard.type('First line');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('second line');
    await page.keyboard.press('Enter');
    await untilText(page.locator('.answer .markdown'), 'One');
    expect(await page.locator('.bubble').textContent()).toBe('First line\nsecond line');
    await page.keyboard.type('not yet');
    await page.keyboard.press('Enter');
    await untilText(page.locator('#waiting .bubble'), 'not yet');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await page.locator('#waiting').waitFor({ state: 'detached' });
    expect(await page.locator('#message').inputValue()).toBe('not yet');
    expect(await focused()).toBe('message');
    await page.keyboard.press('Escape');
    await answered(page);
    expect(await page.locator('.note').textContent()).toContain('stopped');

    await page.keyboard.press('Control+/');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' });
    await page.keyboard.press('Control+Shift+O');
    await page.locator('#welcome').waitFor();
    expect(await focused()).toBe('message');
    await page.keyboard.press('Control+Shift+S');
    await page.locator('#side').waitFor({ state: 'hidden' });
    await page.keyboard.press('Control+Shift+S');
    await page.locator('#side').waitFor();
    await page.keyboard.press('Shift+Escape');
    expect(await focused()).toBe('message');
    for (let time = 0; time < 2; time++) await page.keyboard.press('Tab');
    expect(await focused()).toBe('agent');
    await page.keyboard.press('e');
    expect(await page.locator('#agent').inputValue()).toBe('{"agent":"eliza"}');
    for (let time = 0; time < 2; time++) await page.keyboard.press('Shift+Tab');
    await page.keyboard.type('Hallo');
    await page.keyboard.press('Enter');
    await untilText(page.locator('.note'), /^eliza/);
  });

  it('everything can be reached, and shows that it is', async () => {
    stage.script(text(everything), done);
    const page = await stage.chat();
    await send(page, 'Show');
    await answered(page);
    await page.getByRole('button', { name: 'Delete question and answer' }).waitFor({ state: 'attached' });
    await page.evaluate(() => document.querySelector<HTMLElement>('.skip')?.focus());
    const seen: string[] = [];
    for (;;) {
      const [name, marked] = await page.evaluate(() => {
        const { activeElement: at } = document;
        if (!(at instanceof HTMLElement) || at === document.body) return ['', true];
        const { outlineStyle, outlineWidth } = getComputedStyle(at);
        const box = at.closest('#composer');
        const ring = at.id === 'message' && box !== null && getComputedStyle(box).boxShadow !== 'none';
        return [
          `${at.id || at.getAttribute('aria-label') || at.textContent?.trim()}`,
          ring || (outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2),
        ];
      });
      if (name === '' || seen.includes(name as string)) break;
      expect(marked, `the focus on ${name} is seen`).toBe(true);
      seen.push(name as string);
      await page.keyboard.press('Tab');
    }
    expect(seen).toEqual([
      ...[
        'To the message',
        'new',
        'search',
        'Show',
        'Delete “Show”',
        'inspector',
        'help',
        'import',
        'language',
      ],
      ...['theme', 'toggle-side', 'Actions for this conversation', 'log', 'Edit the question'],
      ...['Delete question and answer', 'link', 'Table', 'Copy code', 'Code, js', 'Copy answer', 'Ask again'],
      ...['message', 'attach', 'agent', 'settings'],
    ]);
  });
});

describe('for a screen reader', () => {
  it('an answer is said block by block, politely, and not token by token', async () => {
    const paragraphs = ['The first paragraph.', 'The second one.', 'The last one.'];
    stage.script(...[...paragraphs.join('\n\n')].map(text), done);
    const page = await stage.chat();
    expect(await page.locator('#spoken').getAttribute('aria-live')).toBe('polite');
    await send(page, 'Talk');
    await untilText(page.locator('#spoken'), 'End of the answer.');
    const said = await page.locator('#spoken p').allTextContents();
    expect(said.map((each) => each.trim())).toEqual([...paragraphs, 'End of the answer.']);
    // Nothing else of what grows is live.
    expect(await page.locator('[aria-live]').count()).toBe(1);
    await page.reload();
    await answered(page);
    expect(await page.locator('#spoken').textContent()).toBe('');
  });

  it.each(['light', 'dark'] as const)('nothing is amiss in %s colours', async (colorScheme) => {
    stage.script({ type: 'thinking', content: 'Hm.' }, text(everything), done);
    const page = await stage.chat({ colorScheme });
    expect(await faults(page)).toEqual([]);
    await send(page, 'Show');
    await answered(page);
    await page.locator('.thinking summary').click();
    expect(await faults(page)).toEqual([]);
    stage.script(new Error('broken'));
    await send(page, 'Fail');
    await page.locator('.failure').waitFor();
    expect(await faults(page)).toEqual([]);
    await page.keyboard.press('Control+/');
    expect(await faults(page)).toEqual([]);
    await page.goto(`${stage.hive.url}/ui/inspector`);
    await page.locator('#plugins tbody tr').first().waitFor();
    await page.locator('#agents li').first().waitFor();
    expect(await faults(page)).toEqual([]);
  });
});

describe('on a screen of 360 pixels', () => {
  const narrow = { viewport: { width: 360, height: 640 }, hasTouch: true };

  it('everything fits, and the conversations lie over the page', async () => {
    stage.script(text(everything), done);
    const page = await stage.chat(narrow);
    await fits(page);
    await page.locator('#side').waitFor({ state: 'hidden' });
    await page.locator('#message').fill(`A question with ${'averylongword'.repeat(20)}`);
    // There Enter begins a new line.
    await page.locator('#send').tap();
    await answered(page);
    await fits(page);
    await page.locator('#toggle-side').click();
    await page.locator('#side').waitFor();
    expect(await page.locator('#main').getAttribute('inert')).not.toBeNull();
    await fits(page);
    expect(await faults(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.locator('#side').waitFor({ state: 'hidden' });
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('toggle-side');
    await page.locator('#toggle-side').click();
    await page.locator('#new').click();
    await page.locator('#welcome').waitFor();
    await page.locator('#side').waitFor({ state: 'hidden' });
  });

  it('the inspector fits, too', async () => {
    const page = await (await stage.visitor(narrow)).visit('/ui/inspector');
    await page.locator('#plugins tbody tr').first().waitFor();
    await page.locator('.uplot').first().waitFor();
    await fits(page);
    expect(await faults(page)).toEqual([]);
  });
});

describe('the colours', () => {
  it('are those of the system until one chooses, and stay chosen', async () => {
    const page = await stage.chat({ colorScheme: 'dark' });
    const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const dark = await paper();
    await page.locator('#theme').click();
    const light = await paper();
    expect(light).not.toBe(dark);
    expect(await page.locator('#theme').getAttribute('aria-label')).toBe('Colours: light');
    await page.reload();
    expect(await paper()).toBe(light);
    await page.goto(`${stage.hive.url}/ui/inspector`);
    expect(await paper()).toBe(light);
    await page.locator('#theme').click();
    expect(await paper()).toBe(dark);
  });
});

describe('a long answer', () => {
  it('does not pull the reader along who has scrolled up, and can be followed again', async () => {
    const lines = (from: number) =>
      Array.from({ length: 60 }, (_, index) => `Line ${from + index}\n\n`).join('');
    stage.script(text(lines(0)), 'wait', text(lines(60)), 'wait', text('The end.'), done);
    const page = await stage.chat();
    await send(page, 'Go on');
    await untilText(page.locator('.answer .markdown'), 'Line 59');
    const top = () => page.locator('#log').evaluate((log) => log.scrollTop);
    expect(await top()).toBeGreaterThan(0);
    const first = page.locator('.answer .markdown p').first();
    await first.evaluate((paragraph) => Object.assign(paragraph, { isTheSame: true }));
    await page.locator('#log').hover();
    await page.mouse.wheel(0, -100_000);
    await page.locator('#to-end').waitFor();
    stage.agent.release();
    await untilText(page.locator('.answer .markdown'), 'Line 119');
    expect(await top()).toBe(0);
    await page.locator('#to-end').click();
    expect(await top()).toBeGreaterThan(0);
    stage.agent.release();
    await answered(page);
    const { below } = await page.locator('#log').evaluate((log) => ({
      below: log.scrollHeight - log.scrollTop - log.clientHeight,
    }));
    expect(below).toBeLessThan(2);
    expect(await answer(page)).toContain('The end.');
    // What had come to its end was not made again.
    expect(await first.evaluate((paragraph) => Reflect.get(paragraph, 'isTheSame'))).toBe(true);
  });
});

describe('a server without a model', () => {
  it('says who answers instead, and what to do', async () => {
    await stage.hive.kernel.unload('agent-scripted');
    await stage.fake.close();
    const page = await stage.chat();
    await connected(page);
    await untilText(page.locator('#who'), 'No model can be reached');
  });
});
