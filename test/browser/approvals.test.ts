/// <reference lib="dom" />
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import endpointWs from '../../plugins/endpoint-ws/index.js';
import { untilText } from '../support/browser.js';
import { say, use } from '../support/scripted-model.js';
import { WsClient } from '../support/ws-client.js';
import { parts, WorkStage } from './agents-at-work.js';
import { faults } from './faults.js';
import { answered, connected, send, stored } from './stage.js';

const stage = new WorkStage();
const focused = (page: Page) =>
  page.evaluate(() => document.activeElement?.textContent || document.activeElement?.id);
const allow = (page: Page) => page.getByRole('button', { name: 'Allow' });

/** An answer that waits for somebody to allow its tool. */
async function ask(page: Page, amount = 5): Promise<void> {
  stage.turns([say('I will pay. '), use('orders_refund', { amount })], [say('That was it.')]);
  await send(page, 'Pay back');
  await allow(page).waitFor();
}

describe('a tool that a person has to allow', () => {
  it('shows what it would do, takes no focus from one who types, and is allowed with the keyboard', async () => {
    const page = await stage.chat();
    stage.turns([say('I will pay. '), use('orders_refund', { amount: 5 })], [say('That was it.')]);
    await send(page, 'Pay back');
    await page.keyboard.type('And ');
    await allow(page).waitFor();
    await page.keyboard.type('then?');
    expect(await page.locator('#message').inputValue()).toBe('And then?');
    expect(await parts(page)).toEqual(['I will pay.', 'orders:refund waits for approval']);
    expect(await page.locator('.approval pre').textContent()).toBe('{\n  "amount": 5\n}');
    await untilText(page.locator('.approval .until'), /^It is not run if nobody allows it until \d/);
    await untilText(page.locator('#spoken'), 'orders:refund waits for your approval');
    expect(await page.locator('[aria-live]').count()).toBe(1);
    // Screen readers may pass over what is busy.
    expect(await page.locator('.answer').getAttribute('aria-busy')).toBeNull();
    expect(stage.ran).toEqual([]);

    for (const _ of ['the reason', 'Deny', 'Allow']) await page.keyboard.press('Shift+Tab');
    expect(await focused(page)).toBe('Allow');
    await page.keyboard.press('Enter');
    await untilText(page.locator('.approval'), 'Allowed by you.');
    // The buttons are gone; the focus is beside them.
    expect(await focused(page)).toMatch(/^orders:refund/);
    await answered(page);
    expect(await parts(page)).toEqual(['I will pay.', 'orders:refund done', 'That was it.']);
    expect(stage.ran).toEqual([{ amount: 5 }]);
    const said = await page.locator('#spoken p').allTextContents();
    expect(said.filter((each) => /orders/.test(each))).toEqual([
      'orders:refund waits for your approval. The buttons are before the message.',
      'orders:refund: Allowed by you.',
    ]);
  });

  it('is denied with the keyboard, with a reason for the model', async () => {
    const page = await stage.chat();
    await ask(page);
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.type('too much');
    await page.keyboard.press('Enter');
    await answered(page);
    await untilText(page.locator('.approval'), 'Denied by you.');
    expect(await parts(page)).toEqual(['I will pay.', 'orders:refund not allowed', 'That was it.']);
    expect(stage.ran).toEqual([]);
    expect(stage.model.requests[1]?.messages.at(-1)?.content).toContain('too much');
  });

  it('asks again after a reload, and may be allowed then', async () => {
    const page = await stage.chat();
    await ask(page);
    const until = await page.locator('.approval .until').textContent();
    await page.reload();
    await connected(page);
    await allow(page).waitFor();
    expect(await page.locator('.approval .until').textContent()).toBe(until);
    await allow(page).click();
    await answered(page);
    expect(await parts(page)).toEqual(['I will pay.', 'orders:refund done', 'That was it.']);
    expect(stage.ran).toEqual([{ amount: 5 }]);
    await page.reload();
    await answered(page);
    await untilText(page.locator('.approval'), 'Allowed by you.');
    expect(await page.locator('.approval button').count()).toBe(0);
  });

  it('still asks after a reload when the agent has gone on speaking meanwhile', async () => {
    let work: Promise<void> | undefined;
    stage.model.turn = async function* (request, call) {
      const turns = [[use('orders_refund', { amount: 5 })], [say('')]];
      work = (async () => {
        const ask = async function* () {
          yield* turns.shift() ?? [];
          yield { type: 'done', reason: 'stop' } as const;
        };
        for await (const _ of call.useTools(['orders:refund'], { ...request, options: {} }, ask));
      })();
      yield say('I have asked. ');
      await stage.pause();
      yield say('Meanwhile, I speak. ');
      await work;
      yield say('That was it.');
    };
    const page = await stage.chat();
    await send(page, 'Pay back');
    await allow(page).waitFor();
    stage.letGo();
    await untilText(page.locator('.parts'), 'Meanwhile');
    await page.reload();
    await connected(page);
    await allow(page).click();
    await answered(page);
    await untilText(page.locator('.approval'), 'Allowed by you.');
    expect(stage.ran).toEqual([{ amount: 5 }]);
  });

  it('is asked in every tab, and each tells how it was decided', async () => {
    const visitor = await stage.visitor();
    const first = await visitor.visit();
    await connected(first);
    await ask(first);
    const second = await visitor.visit(`/ui${new URL(first.url()).hash}`);
    await allow(second).waitFor();
    await allow(first).waitFor();
    await second.getByRole('button', { name: 'Deny' }).click();
    await answered(second);
    await untilText(second.locator('.approval'), 'Denied by you.');
    await answered(first);
    await untilText(first.locator('.approval'), 'Denied by you.');
    expect(await parts(first)).toEqual(['I will pay.', 'orders:refund not allowed', 'That was it.']);
    expect(stage.ran).toEqual([]);
  });

  it('may be decided elsewhere, which an open server does not tell by name', async () => {
    const page = await stage.chat();
    await ask(page);
    const pending = (await stored(page))[1] as { readonly pending?: { readonly streamId: string } };
    const phone = await WsClient.connect(`${stage.hive.ws}/phone`);
    const id = await page.evaluate(
      () =>
        JSON.parse(localStorage.getItem(`waggle:messages:${location.hash.slice(3)}`) ?? '')[1].steps[0].id,
    );
    phone.send({ type: 'approve', streamId: pending.pending?.streamId, id, allow: true });
    await untilText(page.locator('.approval'), 'Allowed by somebody else.');
    await answered(page);
    expect(await page.locator('body').textContent()).not.toContain('phone');
    await phone.close();
  });

  it('is allowed once, also where the connection is lost at that moment', async () => {
    const visitor = await stage.visitor();
    const page = await visitor.visit();
    await connected(page);
    await ask(page);
    await stage.hive.kernel.unload('endpoint-ws');
    await untilText(page.locator('#connection'), 'Reconnecting');
    await allow(page).click();
    await stage.hive.kernel.load(endpointWs);
    await answered(page);
    await untilText(page.locator('.approval'), 'Allowed by you.');
    expect(stage.ran).toEqual([{ amount: 5 }]);
    // The browser itself complains of each try.
    const tries = visitor.problems.splice(0);
    expect(tries.filter((each) => !/WebSocket connection to .* failed/.test(each))).toEqual([]);
  });

  it('that was not decided before the answer was stopped says so', async () => {
    const page = await stage.chat();
    await ask(page);
    await page.keyboard.press('Escape');
    await answered(page);
    await untilText(page.locator('.approval'), 'Nobody has allowed or denied it.');
    expect(await parts(page)).toEqual(['I will pay.', 'orders:refund not finished']);
    expect(await page.locator('.approval button').count()).toBe(0);
  });

  it('is seen at the side while another conversation is open', async () => {
    const page = await stage.chat();
    await ask(page);
    await page.locator('#new').click();
    await page.locator('#welcome').waitFor();
    await page.getByRole('img', { name: 'waits for your approval' }).waitFor();
    await page.locator('#list a').click();
    await allow(page).click();
    await answered(page);
    await page.locator('#list .pending').waitFor({ state: 'detached' });
  });

  it.each(['light', 'dark'] as const)(
    'has no faults in %s colours, and fits a narrow screen',
    async (colorScheme) => {
      const page = await stage.chat({ colorScheme, viewport: { width: 390, height: 700 } });
      stage.turns([use('orders_refund', { to: 'averylongword'.repeat(40) })], [say('Done.')]);
      await send(page, 'Pay back');
      await allow(page).waitFor();
      expect(await faults(page)).toEqual([]);
      const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect(content).toBe(window);
      expect(await page.locator('#log').evaluate((box) => box.scrollWidth - box.clientWidth)).toBe(0);
      await allow(page).click();
      await answered(page);
      expect(await faults(page)).toEqual([]);
    },
  );
});
