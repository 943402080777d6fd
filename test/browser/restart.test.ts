/// <reference lib="dom" />
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import endpointConversations from '../../plugins/endpoint-conversations/index.js';
import endpointMe from '../../plugins/endpoint-me/index.js';
import endpointOverview from '../../plugins/endpoint-overview/index.js';
import uiWeb from '../../plugins/ui-web/index.js';
import { accessPlugin } from '../support/access.js';
import { done, ScriptedAgent, text } from '../support/agents.js';
import { startBrowser, untilText, Visitor } from '../support/browser.js';
import { freePort } from '../support/free-port.js';
import { type Hive, startHive } from '../support/hive.js';
import { answered, connected, send } from './stage.js';

let browser: Browser;
let hive: Hive;
let visitor: Visitor;
beforeAll(async () => {
  browser = await startBrowser();
});
afterEach(async () => {
  await visitor.close();
  await hive.stop();
});
afterAll(() => browser.close());

async function start(port: number, sessionSecret: string): Promise<void> {
  const agent = new ScriptedAgent('scripted', [text('Here.'), done]);
  const agentPlugin = definePlugin({
    name: 'agent-scripted',
    apiVersion: 1,
    setup: (ctx) => void ctx.addAgent(agent),
  });
  hive = await startHive({
    config: { transport: { port }, 'agent-queen': { candidates: ['scripted'] } },
    plugins: [accessPlugin(), endpointMe, endpointOverview, endpointConversations, agentPlugin],
  });
  await hive.kernel.load(uiWeb, { config: { sessionSecret } });
}

async function signIn(page: Page): Promise<void> {
  await page.getByLabel('Key or token').fill('token-of-ann');
  await page.keyboard.press('Enter');
  await connected(page);
}

describe('a restart of the server', () => {
  it.each([
    ['keeps the session where its secret is configured', 'x'.repeat(32)],
    ['asks once more who one is where it is not, and goes on in the same conversation', ''],
  ])('%s', async (_, secret) => {
    const port = await freePort();
    await start(port, secret);
    visitor = await Visitor.come(browser, hive.url);
    const page = await visitor.visit();
    await signIn(page);
    await send(page, 'Are you there?');
    await answered(page);
    await page.locator('#message').fill('And now?');
    await hive.stop();
    await page.locator('#connection[data-state="reconnecting"]').waitFor();
    await start(port, secret);
    if (secret === '') {
      await untilText(page.getByRole('dialog', { name: 'Sign in' }), 'Your sign-in has ended.');
      await signIn(page);
    }
    await page.locator('#connection[data-state="open"]').waitFor();
    expect(await page.locator('#message').inputValue()).toBe('And now?');
    await page.locator('#message').press('Enter');
    await page.locator('.answer').nth(1).locator('.note').waitFor();
    expect(await page.locator('.answer .markdown').nth(1).textContent()).toContain('Here.');
    expect(await page.locator('.bubble').allTextContents()).toEqual(['Are you there?', 'And now?']);
    await page.reload();
    await connected(page);
    await untilText(page.locator('#account .user'), 'ann');
  });
});
