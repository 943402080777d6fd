/// <reference lib="dom" />
import { describe, expect, it } from 'vitest';
import endpointMe from '../../plugins/endpoint-me/index.js';
import { accessPlugin, as } from '../support/access.js';
import { untilText } from '../support/browser.js';
import { say, use } from '../support/scripted-model.js';
import { WsClient } from '../support/ws-client.js';
import { parts, WorkStage } from './agents-at-work.js';
import { answered, connected, send } from './stage.js';

const stage = new WorkStage({
  plugins: () => [accessPlugin(), endpointMe],
  // Browsers write each refusal of a server into their console.
  tolerates: /the server responded with a status of 401/,
});

async function ask() {
  const page = await (await stage.visitor()).visit();
  await page.getByLabel('Key or token').fill('token-of-ann');
  await page.keyboard.press('Enter');
  await connected(page);
  stage.turns([say('I will pay. '), use('orders_refund', { amount: 5 }, 'c1')], [say('That was it.')]);
  await send(page, 'Pay back');
  await page.getByRole('button', { name: 'Allow' }).waitFor();
  return page;
}

describe('a tool that a signed-in person has to allow', () => {
  it('is allowed by another user who may act for this one, and the page says who it was', async () => {
    const page = await ask();
    const [reply] = stage.hive.streams.list();
    const proxy = await WsClient.connect(`${stage.hive.ws}/proxy`, { headers: as('proxy') });
    proxy.send({ type: 'approve', streamId: reply?.streamId, id: 'c1', allow: true });
    await untilText(page.locator('.approval'), 'Allowed by proxy.');
    await answered(page);
    await proxy.close();
    expect(stage.ran).toEqual([{ amount: 5 }]);
  });

  it('keeps its steps over a reload and a look at what the server has stored', async () => {
    const page = await ask();
    await page.getByRole('button', { name: 'Allow' }).click();
    await answered(page);
    const all = ['I will pay.', 'orders:refund done', 'That was it.'];
    expect(await parts(page)).toEqual(all);
    const looked = page.waitForResponse(/\/conversations\/[^/]+\/messages/);
    await page.reload();
    await connected(page);
    await (await looked).finished();
    expect(await parts(page)).toEqual(all);
    await untilText(page.locator('.approval'), 'Allowed by you.');
  });
});
