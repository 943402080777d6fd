/// <reference lib="dom" />
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { faults } from './faults.js';
import { answered, connected, Stage, send } from './stage.js';

const stage = new Stage();
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const answers = async (page: Page) =>
  (await page.locator('.answer .markdown').allTextContents()).map((each) => each.trim());
const questions = (page: Page) => page.locator('.question .bubble').allTextContents();
/** What the model heard last. */
const heard = () => stage.agent.requests.at(-1)?.messages.map(({ content }) => content);

/** A conversation of two turns. */
async function talk(): Promise<Page> {
  const page = await stage.chat();
  for (const [question, reply] of [
    ['One?', 'First.'],
    ['Two?', 'Second.'],
  ] as const) {
    stage.script(text(reply), done);
    await send(page, question);
    await untilText(page.locator('.answer').last().locator('.markdown'), reply);
    await answered(page);
  }
  return page;
}

describe('a turn', () => {
  it('is asked again, and both answers are kept as versions', async () => {
    const page = await talk();
    stage.script(text('Better.'), done);
    await button(page, 'Ask again').click();
    await untilText(page.locator('.answer .markdown').nth(1), 'Better.');
    expect(heard()).toEqual(['One?', 'First.', 'Two?']);
    await untilText(page.locator('.versions'), '2 / 2');
    await button(page, 'Version before').click();
    await untilText(page.locator('.answer .markdown').nth(1), 'Second.');
    await untilText(page.locator('.versions'), '1 / 2');
    stage.script(text('Third.'), done);
    await send(page, 'Three?');
    await untilText(page.locator('.answer .markdown').nth(2), 'Third.');
    // What the page shows is what the model hears.
    expect(heard()).toEqual(['One?', 'First.', 'Two?', 'Second.', 'Three?']);
  });

  it('is changed in the middle: what was said after it is one arrow away, on every device', async () => {
    const page = await talk();
    await page.locator('.question').first().hover();
    await button(page, 'Edit the question').first().click();
    await page.locator('.editor textarea').fill('Another one?');
    expect(await faults(page)).toEqual([]);
    stage.script(text('Other.'), done);
    await page.keyboard.press('Enter');
    await untilText(page.locator('.answer .markdown'), 'Other.');
    expect(heard()).toEqual(['Another one?']);
    await untilText(page.locator('.versions'), '2 / 2');
    expect(await questions(page)).toEqual(['Another one?']);
    await button(page, 'Version before').click();
    await untilText(page.locator('.versions'), '1 / 2');
    expect(await answers(page)).toEqual(['First.', 'Second.']);
    await page.evaluate(() => {
      for (const name of Object.keys(localStorage)) if (name !== 'waggle:user') localStorage.removeItem(name);
    });
    await page.reload();
    await untilText(page.locator('.versions'), '1 / 2');
    await button(page, 'Version after').click();
    await untilText(page.locator('.bubble'), 'Another one?');
  });

  it('is left as it is when its change is given up', async () => {
    const page = await talk();
    await page.keyboard.press('ArrowUp');
    expect(await page.locator('.editor textarea').inputValue()).toBe('Two?');
    await page.keyboard.type(' or more');
    await page.keyboard.press('Escape');
    expect(await questions(page)).toEqual(['One?', 'Two?']);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('message');
  });

  it('goes on after a stop', async () => {
    stage.script(text('Half '), 'wait', text('more'), done);
    const page = await stage.chat();
    await send(page, 'Tell');
    await untilText(page.locator('.answer .markdown'), 'Half');
    await page.keyboard.press('Escape');
    await answered(page);
    stage.script(text('and the rest.'), done);
    await button(page, 'Continue').click();
    await untilText(page.locator('.answer .markdown').nth(1), 'and the rest.');
    expect(heard()).toEqual(
      ['Tell', 'Half', 'Please continue.'].map((each) => expect.stringContaining(each)),
    );
  });

  it('is deleted, and the model knows nothing of it', async () => {
    const page = await talk();
    await button(page, 'Delete question and answer').nth(1).waitFor({ state: 'attached' });
    await page.locator('.question').first().hover();
    await button(page, 'Delete question and answer').first().click();
    await page.getByRole('dialog').getByRole('button', { name: 'Keep it' }).click();
    await page.locator('.question').first().hover();
    await button(page, 'Delete question and answer').first().click();
    expect(await faults(page)).toEqual([]);
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.locator('.bubble', { hasText: 'One?' }).waitFor({ state: 'detached' });
    expect(await answers(page)).toEqual(['Second.']);
    stage.script(text('Third.'), done);
    await send(page, 'Three?');
    await untilText(page.locator('.answer .markdown').nth(1), 'Third.');
    expect(heard()).toEqual(['Two?', 'Second.', 'Three?']);
  });
});

describe('what is written', () => {
  it('while an answer runs waits its turn, visibly, and can be taken back', async () => {
    stage.script(text('One '), 'wait', text('two.'), done);
    const page = await stage.chat();
    await send(page, 'Count');
    await untilText(page.locator('.answer .markdown'), 'One');
    await send(page, 'And then?');
    await send(page, 'Not this.');
    expect(await page.locator('#waiting .bubble').allTextContents()).toEqual(['And then?', 'Not this.']);
    expect(await faults(page)).toEqual([]);
    await button(page, 'Take back').nth(1).click();
    expect(await page.locator('#message').inputValue()).toBe('Not this.');
    stage.script(text('Three.'), done);
    stage.agent.release();
    await untilText(page.locator('.answer .markdown').nth(1), 'Three.');
    expect(await questions(page)).toEqual(['Count', 'And then?']);
    expect(await page.locator('#waiting').count()).toBe(0);
  });

  it('and not sent is kept for each conversation, also over a reload, with what was waiting', async () => {
    const page = await talk();
    const first = page.url();
    await page.locator('#message').fill('a draft');
    await button(page, 'New conversation').click();
    expect(await page.locator('#message').inputValue()).toBe('');
    await page.locator('#message').fill('another draft');
    await page.goto(first);
    await expect.poll(() => page.locator('#message').inputValue()).toBe('a draft');
    stage.script(text('One '), 'wait', text('two.'), done);
    await send(page, 'Count');
    await untilText(page.locator('.answer .markdown').last(), 'One');
    await send(page, 'And then?');
    await page.locator('#message').fill('later');
    await page.reload();
    await connected(page);
    expect(await page.locator('#message').inputValue()).toBe('And then?\n\nlater');
    stage.agent.release();
    await answered(page);
    expect(await questions(page)).toEqual(['One?', 'Two?', 'Count']);
    await button(page, 'New conversation').click();
    expect(await page.locator('#message').inputValue()).toBe('another draft');
  });
});

describe('an answer of a page that was closed', () => {
  it('goes on however long nobody looks, and is there when one returns', async () => {
    stage.script(text('One '), 'wait', text('two.'), done);
    const visitor = await stage.visitor();
    const page = await visitor.visit();
    await connected(page);
    await send(page, 'Count');
    await untilText(page.locator('.answer .markdown'), 'One');
    const { hash } = new URL(page.url());
    await page.close();
    await expect.poll(() => stage.hive.streams.stats.readers).toBe(0);
    const [reply] = stage.hive.streams.list();
    // No grace period ends it.
    expect(reply?.command?.onDisconnect).toBe('finish');
    stage.agent.release();
    await stage.quiet();
    const later = await visitor.visit(`/ui${hash}`);
    await untilText(later.locator('.answer .markdown'), 'One two.');
  });
});
