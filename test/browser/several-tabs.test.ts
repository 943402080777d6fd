/// <reference lib="dom" />
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { WsClient } from '../support/ws-client.js';
import { answer, answered, connected, Stage, send } from './stage.js';

const stage = new Stage();
const words = Array.from({ length: 200 }, (_, index) => `w${index} `);
/** An answer in two halves, with a wait between them. */
const long = () => [...words.slice(0, 100).map(text), 'wait' as const, ...words.slice(100).map(text), done];
const whole = words.join('').trim();
const userOf = (page: Page) =>
  page.evaluate(() => JSON.parse(localStorage.getItem('waggle:user') ?? '""') as string);

const answers = async (page: Page) =>
  (await page.locator('.answer .markdown').allTextContents()).map((each) => each.trim());

describe('several pages of one user', () => {
  it('show one answer as it comes, on a telephone as well, and also where they open later', async () => {
    stage.script(...long());
    const desk = await stage.visitor();
    const first = await desk.visit();
    await connected(first);
    const second = await desk.visit();
    await connected(second);
    const phone = await stage.visitor({ viewport: { width: 390, height: 800 } });
    const mobile = await phone.visit();
    await mobile.evaluate(
      (user) => localStorage.setItem('waggle:user', JSON.stringify(user)),
      await userOf(first),
    );
    await mobile.reload();
    await connected(mobile);
    await send(first, 'Count');
    await untilText(first.locator('.answer .markdown'), 'w99');
    const { hash } = new URL(first.url());
    for (const page of [second, mobile]) {
      await page.evaluate((to) => {
        location.hash = to;
      }, hash);
      await untilText(page.locator('.question'), 'Count');
      await untilText(page.locator('.answer .markdown'), 'w99');
    }
    const later = await desk.visit(`/ui${hash}`);
    await untilText(later.locator('.answer .markdown'), 'w99');
    stage.agent.release();
    for (const page of [first, second, mobile, later]) {
      await answered(page);
      expect(await answer(page)).toBe(whole);
      expect(await page.locator('#notice').textContent()).toBe('');
      expect(await page.locator('.answer').count()).toBe(1);
    }
    expect(stage.agent.requests).toHaveLength(1);
  });

  it('show a reply that the server has started', async () => {
    stage.script(...long());
    const desk = await stage.visitor();
    const first = await desk.visit();
    await connected(first);
    const second = await desk.visit();
    await connected(second);
    await stage.hive.streams.start({
      ...{
        userId: await userOf(first),
        conversationId: 'daily',
        content: 'What is on today?',
        onDisconnect: 'finish',
      },
    });
    for (const page of [first, second]) {
      await page.locator('#list a', { hasText: 'What is on today?' }).click();
      await untilText(page.locator('.answer .markdown'), 'w99');
    }
    stage.agent.release();
    for (const page of [first, second]) {
      await answered(page);
      expect(await answer(page)).toBe(whole);
    }
  });

  it('go on with the conversation from any of them', async () => {
    stage.script(text('One.'), done);
    const desk = await stage.visitor();
    const first = await desk.visit();
    await connected(first);
    await send(first, 'Count');
    await answered(first);
    const second = await desk.visit(`/ui${new URL(first.url()).hash}`);
    await connected(second);
    stage.script(text('Two.'), done);
    await send(second, 'Go on');
    for (const page of [first, second]) {
      await page.locator('.answer').nth(1).waitFor();
      await answered(page);
      expect(await page.locator('.bubble').allTextContents()).toEqual(['Count', 'Go on']);
      expect(await answers(page)).toEqual(['One.', 'Two.']);
    }
    await second.reload();
    await connected(second);
    expect(await answers(second)).toEqual(['One.', 'Two.']);
  });

  it('ask at the same time, and show both turns in one order', async () => {
    stage.script(text('One '), 'wait', text('two.'), done);
    const desk = await stage.visitor();
    const first = await desk.visit();
    await connected(first);
    await send(first, 'Count');
    await untilText(first.locator('.answer .markdown'), 'One');
    const second = await desk.visit(`/ui${new URL(first.url()).hash}`);
    await untilText(second.locator('.answer .markdown'), 'One');
    // A page lets nobody ask while an answer comes; a telephone that has just woken up may.
    const phone = await WsClient.connect(`${stage.hive.ws}/phone?user_id=${await userOf(first)}`);
    const conversationId = new URL(first.url()).hash.slice('#c/'.length);
    phone.send({ type: 'stream_request', content: 'And then?', conversationId });
    await phone.until(({ type }) => type === 'queue_update');
    stage.script(text('Three.'), done);
    stage.agent.release();
    await phone.end();
    for (const page of [first, second]) {
      await page.locator('.answer').nth(1).waitFor();
      await answered(page);
      expect(await page.locator('.bubble').allTextContents()).toEqual(['Count', 'And then?']);
      expect(await answers(page)).toEqual(['One two.', 'Three.']);
    }
    await phone.close();
  });

  it('stop it from any of them', async () => {
    stage.script(text('One '), 'wait', text('two'), done);
    const desk = await stage.visitor();
    const first = await desk.visit();
    await connected(first);
    await send(first, 'Count');
    await untilText(first.locator('.answer .markdown'), 'One');
    const second = await desk.visit(`/ui${new URL(first.url()).hash}`);
    await untilText(second.locator('.answer .markdown'), 'One');
    await second.locator('#stop').click();
    for (const page of [first, second]) await answered(page);
    expect(await answer(first)).toBe('One');
    await stage.quiet();
  });
});
