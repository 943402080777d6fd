import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { answered, Stage, send } from './stage.js';

const stage = new Stage();

interface Key {
  readonly type: 'keydown' | 'keyup' | 'compositionstart' | 'compositionend';
  readonly key?: string;
  readonly isComposing?: boolean;
  readonly keyCode?: number;
}

/** Lets the field see events as browsers and input methods send them, all in one moment. */
function press(page: Page, events: readonly Key[]): Promise<void> {
  return page.locator('#message').evaluate((field, all) => {
    for (const { type, ...rest } of all) {
      const init = { bubbles: true, cancelable: true, ...rest };
      const isKey = type.startsWith('key');
      field.dispatchEvent(isKey ? new KeyboardEvent(type, init) : new CompositionEvent(type, init));
    }
  }, events);
}

const down = (key: string, more: Partial<Key> = {}): Key => ({ type: 'keydown', key, ...more });
const up = (key: string): Key => ({ type: 'keyup', key });
/** How an input method takes a key, before the next key comes. */
const takes: readonly (readonly [name: string, events: (key: string) => readonly Key[]])[] = [
  [
    'Chromium and Firefox',
    (key) => [
      { type: 'compositionstart' },
      down(key, { isComposing: true, keyCode: 229 }),
      { type: 'compositionend' },
      up(key),
    ],
  ],
  [
    'Safari, which ends the word first',
    (key) => [{ type: 'compositionstart' }, { type: 'compositionend' }, down(key, { keyCode: 229 }), up(key)],
  ],
  [
    'the word ended first, without a code',
    (key) => [
      { type: 'compositionstart' },
      { type: 'compositionend' },
      down(key, { keyCode: key === 'Enter' ? 13 : 27 }),
      up(key),
    ],
  ],
  ['the code alone', (key) => [down(key, { keyCode: 229 }), up(key)]],
  ['the mark alone', (key) => [down(key, { isComposing: true }), up(key)]],
  [
    'the key of an unfinished word',
    (key) => [{ type: 'compositionstart' }, down(key), { type: 'compositionend' }, up(key)],
  ],
];

describe('a word that is being composed', () => {
  it.each(takes)('is not sent by its Enter: %s', async (_, events) => {
    const page = await stage.chat();
    await page.locator('#message').fill('にほん');
    await press(page, events('Enter'));
    expect(await page.locator('#message').inputValue()).toBe('にほん');
    expect(await page.locator('.bubble').count()).toBe(0);
    // The next Enter sends.
    await page.keyboard.press('Enter');
    await untilText(page.locator('.bubble'), 'にほん');
    await answered(page);
    expect(await page.locator('.bubble').count()).toBe(1);
  });

  it.each(takes)('stops nothing by its Escape: %s', async (_, events) => {
    stage.script(text('One '), 'wait', text('two'), done);
    const page = await stage.chat();
    await send(page, 'Count');
    await untilText(page.locator('.answer .markdown'), 'One');
    await press(page, events('Escape'));
    stage.agent.release();
    await answered(page);
    expect(await page.locator('.answer .markdown').textContent()).toContain('One two');
    expect(await page.locator('.answer .note').textContent()).not.toContain('stopped');
  });

  it('is composed by the input method of the browser', async () => {
    const page = await stage.chat();
    const devtools = await page.context().newCDPSession(page);
    await page.locator('#message').focus();
    await devtools.send('Input.imeSetComposition', { text: 'に', selectionStart: 1, selectionEnd: 1 });
    const key = { key: 'Enter', windowsVirtualKeyCode: 229, nativeVirtualKeyCode: 229 };
    await devtools.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...key });
    await devtools.send('Input.insertText', { text: '二' });
    await devtools.send('Input.dispatchKeyEvent', { type: 'keyUp', ...key });
    expect(await page.locator('#message').inputValue()).toBe('二');
    expect(await page.locator('.bubble').count()).toBe(0);
    await page.keyboard.press('Enter');
    await untilText(page.locator('.bubble'), '二');
    await answered(page);
  });
});

/** The directions of all that fits. */
const directions = (page: Page, selector: string) =>
  page
    .locator(selector)
    .evaluateAll((found) => found.map((each) => getComputedStyle(each as HTMLElement).direction));

describe('a text that runs from right to left', () => {
  it.each([
    ['a Hebrew', 'שלום עולם', 'rtl'],
    ['an Arabic', 'مرحبا (world)!', 'rtl'],
    ['a Persian', '۱۲ سلام', 'rtl'],
    ['a Divehi', 'ދިވެހި', 'rtl'],
    ['an English', 'Hello שלום', 'ltr'],
    ['a Japanese', 'こんにちは', 'ltr'],
  ])('does so wherever it stands: %s one', async (_, words, direction) => {
    stage.script(
      text(`${words}\n\n# ${words}\n\n- ${words}\n  - ${words}\n\n1. ${words}\n\n   ${words}\n\n`),
      text(`> ${words}\n\n| ${words} | 1 |\n|---|---|\n| 2 | ${words} |\n\n\`\`\`js\n// ${words}\n\`\`\`\n`),
      done,
    );
    const page = await stage.chat();
    await page.locator('#message').fill(words);
    expect(await directions(page, '#message')).toEqual([direction]);
    await page.keyboard.press('Enter');
    await answered(page);
    const blocks = 'p, h3, ul, ol, li, blockquote, table, th, td';
    const all = `.bubble, #title, #list .title, .markdown :is(${blocks})`;
    expect(new Set(await directions(page, all))).toEqual(new Set([direction]));
    expect(await directions(page, all)).toHaveLength(20);
    expect(await directions(page, '.code pre')).toEqual(['ltr']);
    await page.getByRole('button', { name: `Delete “${words}”` }).click();
    await untilText(page.locator('#notice'), `“${words}” is deleted.`);
  });

  it('is that of its own block, while it comes and then', async () => {
    stage.script(text('Hello\n\nשלום'), 'wait', text('\n\n- one\n- שתיים\n\nAnd'), 'wait', done);
    const page = await stage.chat();
    await send(page, 'Both');
    await untilText(page.locator('.markdown'), 'שלום');
    expect(await directions(page, '.markdown p')).toEqual(['ltr', 'rtl']);
    stage.agent.release();
    await untilText(page.locator('.markdown'), 'And');
    stage.agent.release();
    await answered(page);
    expect(await directions(page, '.markdown :is(p, ul, li)')).toEqual([
      ...['ltr', 'rtl', 'ltr', 'ltr', 'rtl', 'ltr'],
    ]);
  });

  it('turns no text around it by controls', async () => {
    const page = await stage.chat();
    await send(page, '\u202eevil\u0000 \u2067title');
    await answered(page);
    expect(await page.locator('#title').textContent()).toBe('evil title');
    expect(await page.title()).toBe('evil title – Waggle');
  });
});
