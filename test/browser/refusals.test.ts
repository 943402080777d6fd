/// <reference lib="dom" />
import { describe, expect, it } from 'vitest';
import { WaggleError } from '#kernel';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { faults } from './faults.js';
import { answered, connected, Stage, send } from './stage.js';

const stage = new Stage();

describe('a question that the server does not take', () => {
  it('is back in the field with the reason; nothing else is lost, and it is sent again once', async () => {
    stage.script(text('One.'), done);
    const page = await stage.chat();
    await send(page, 'First');
    await answered(page);
    const { streams } = stage.hive;
    const start = streams.start.bind(streams);
    let refused = 0;
    streams.start = async () => {
      refused++;
      throw new WaggleError('QUEUE_FULL', { limit: 1, what: 'replies', retryAfterMs: 1500 });
    };
    await send(page, 'Second');
    await untilText(page.locator('#refusal'), 'The server is busy at the moment.');
    await untilText(page.locator('#refusal'), 'It will be sent again by itself then.');
    expect(await page.locator('#message').inputValue()).toBe('Second');
    expect(await page.locator('.question .bubble').allTextContents()).toEqual(['First']);
    expect(await faults(page)).toEqual([]);
    // The second time is the last one.
    await expect.poll(() => refused, { timeout: 15_000 }).toBe(2);
    await page.locator('#refusal', { hasText: 'by itself' }).waitFor({ state: 'detached' });
    await untilText(page.locator('#refusal'), 'The server is busy at the moment.');
    streams.start = start;
    stage.script(text('Two.'), done);
    await page.locator('#send').click();
    await untilText(page.locator('.answer .markdown').nth(1), 'Two.');
    expect(await page.locator('#refusal').count()).toBe(0);
    expect(refused).toBe(2);
  });

  it('is kept with its reason over a reload, and may be dropped', async () => {
    const page = await stage.chat();
    const { streams } = stage.hive;
    streams.start = async () => {
      throw new WaggleError('QUEUE_FULL', { limit: 1, what: 'replies', retryAfterMs: 600_000 });
    };
    await send(page, 'Only');
    await untilText(page.locator('#refusal'), 'Try again in 10 minutes.');
    expect(new URL(page.url()).hash).toBe('');
    await page.reload();
    await connected(page);
    await untilText(page.locator('#refusal'), 'The server is busy at the moment.');
    expect(await page.locator('#message').inputValue()).toBe('Only');
    expect(await page.locator('#list a').count()).toBe(0);
    await page.locator('#refusal button').click();
    expect(await page.locator('#refusal').count()).toBe(0);
    expect(await page.locator('#message').inputValue()).toBe('Only');
  });
});
