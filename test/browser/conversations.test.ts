/// <reference lib="dom" />
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import storeMemory from '../../plugins/store-memory/index.js';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { faults } from './faults.js';
import { answer, answered, connected, Stage, send } from './stage.js';

const stage = new Stage();
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const titles = (page: Page) => page.locator('#list .title').allTextContents();
const act = async (page: Page, name: string) => {
  await page.locator('#actions summary').click();
  await button(page, name).click();
};

/** A page with one conversation of this question. */
async function asked(question: string, page?: Page): Promise<Page> {
  const open = page ?? (await stage.chat());
  if (page) await button(open, 'New conversation').click();
  await send(open, question);
  await answered(open);
  // The page has seen that the server has it.
  await button(open, 'Delete question and answer').waitFor({ state: 'attached' });
  return open;
}

describe('a conversation', () => {
  it('is renamed, for every device', async () => {
    const page = await asked('Old name');
    await act(page, 'Rename');
    expect(await faults(page)).toEqual([]);
    await page.getByLabel('Title').fill('New name');
    await page.keyboard.press('Enter');
    await untilText(page.locator('#title'), 'New name');
    await page.evaluate(() => {
      for (const name of Object.keys(localStorage)) if (name !== 'waggle:user') localStorage.removeItem(name);
    });
    await page.reload();
    await untilText(page.locator('#list'), 'New name');
  });

  it('is pinned above the others', async () => {
    const page = await asked('First');
    await asked('Second', page);
    expect(await titles(page)).toEqual(['Second', 'First']);
    await page.locator('#list a', { hasText: 'First' }).click();
    await act(page, 'Pin');
    await expect.poll(() => titles(page)).toEqual(['First', 'Second']);
    expect(await page.locator('#list .group').allTextContents()).toEqual(['Pinned', 'Today']);
    await page.locator('#actions summary').click();
    expect(await faults(page)).toEqual([]);
    await button(page, 'Unpin').click();
    await expect.poll(() => titles(page)).toEqual(['Second', 'First']);
  });

  it('comes back after it was deleted', async () => {
    stage.script(text('An answer.'), done);
    const page = await asked('Keep me');
    await act(page, 'Rename');
    await page.getByLabel('Title').fill('Kept');
    await page.keyboard.press('Enter');
    await untilText(page.locator('#title'), 'Kept');
    await button(page, 'Delete “Kept”').click();
    await page.locator('#welcome').waitFor();
    await button(page, 'Undo').click();
    await untilText(page.locator('.bubble'), 'Keep me');
    expect(await answer(page)).toBe('An answer.');
    await untilText(page.locator('#title'), 'Kept');
  });

  it('is found by any word that was said in it', async () => {
    stage.script(text('Honey is made of nectar.'), done);
    const page = await asked('What is honey?');
    stage.script(text('Rain.'), done);
    await asked('The weather?', page);
    await page.keyboard.press('Control+k');
    await page.keyboard.type('nectar');
    await untilText(page.locator('#found'), 'Honey is made of nectar.');
    expect(await page.locator('#found a').count()).toBe(1);
    expect(await faults(page)).toEqual([]);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await untilText(page.locator('.bubble'), 'What is honey?');
    await page.locator('#search').fill('nothing of this');
    await page.getByText('Nothing found.').waitFor();
    await page.locator('#search').focus();
    await page.keyboard.press('Escape');
    expect(await titles(page)).toHaveLength(2);
  });

  it('is taken along as Markdown, and to another browser as JSON', async () => {
    stage.script(text('# Answer\n\n- one'), done);
    const page = await asked('Take me along');
    const download = async (name: string) => {
      const coming = page.waitForEvent('download');
      await act(page, name);
      const file = await coming;
      return { name: file.suggestedFilename(), path: await file.path() };
    };
    const markdown = await download('Download as Markdown');
    expect(markdown.name).toBe('Take-me-along.md');
    expect(await readFile(markdown.path, 'utf8')).toBe(
      '# Take me along\n\n## You\n\nTake me along\n\n## Answer by scripted\n\n# Answer\n\n- one\n',
    );
    const json = await download('Download as JSON');
    expect(json.name).toBe('Take-me-along.jsonl');
    const other = await stage.chat();
    await other.locator('input[type=file]').first().setInputFiles(json.path);
    await untilText(other.locator('#notice'), 'One conversation was imported.');
    await untilText(other.locator('.bubble'), 'Take me along');
    await other.locator('input[type=file]').first().setInputFiles(json.path);
    await untilText(other.locator('#notice'), 'These conversations are here already.');
  });

  it('that the server has forgotten says so, and is given back', async () => {
    stage.script(text('It is Ann.'), done);
    const page = await asked('Who am I?');
    await stage.hive.kernel.reload(storeMemory);
    await page.reload();
    await connected(page);
    await untilText(page.locator('#notice'), 'The server no longer has this conversation');
    expect(await faults(page)).toEqual([]);
    await button(page, 'Give it back to the server').click();
    await page.locator('#notice', { hasText: 'no longer' }).waitFor({ state: 'detached' });
    await send(page, 'And now?');
    await page.locator('.answer').nth(1).locator('.note').waitFor();
    const heard = stage.agent.requests.at(-1)?.messages.map(({ content }) => content);
    expect(heard).toEqual(['Who am I?', 'It is Ann.', 'And now?']);
  });

  it('that goes on without being given back shows what the model does not know', async () => {
    stage.script(text('It is Ann.'), done);
    const page = await asked('Who am I?');
    await stage.hive.kernel.reload(storeMemory);
    await page.reload();
    await untilText(page.locator('#notice'), 'The server no longer has this conversation');
    await send(page, 'And now?');
    await page.locator('.answer').nth(1).locator('.note').waitFor();
    await untilText(page.locator('.earlier'), 'The server has lost what is above');
    await page.reload();
    await untilText(page.locator('.earlier'), 'The server has lost what is above');
    expect(await page.locator('.bubble').allTextContents()).toEqual(['Who am I?', 'And now?']);
  });
});

describe('the language of the page', () => {
  it('is that of the browser, until another one is chosen', async () => {
    const page = await stage.chat({ locale: 'de-CH' });
    expect(await page.locator('html').getAttribute('lang')).toBe('de');
    await untilText(page.locator('#welcome h2'), 'Was möchten Sie wissen?');
    await send(page, 'Hallo');
    await untilText(page.locator('.note'), /^scripted · 2 Tokens/);
    expect(await faults(page)).toEqual([]);
    await page.locator('#language').selectOption('en');
    await page.locator('html[lang="en"]').waitFor();
    await untilText(page.locator('#new'), 'New conversation');
    await page.reload();
    await untilText(page.locator('#new'), 'New conversation');
  });
});
