/// <reference lib="dom" />
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import endpointConversations from '../../plugins/endpoint-conversations/index.js';
import endpointDocs from '../../plugins/endpoint-docs/index.js';
import endpointMe from '../../plugins/endpoint-me/index.js';
import endpointOverview from '../../plugins/endpoint-overview/index.js';
import uiWeb from '../../plugins/ui-web/index.js';
import { startRecipe } from '../proxies/recipe.js';
import { accessPlugin } from '../support/access.js';
import { startBrowser, untilText, Visitor } from '../support/browser.js';
import { type Hive, startHive } from '../support/hive.js';
import { programPath } from '../support/program-path.js';
import { answered, connected, send } from './stage.js';

// With the path left on, as in README's recipe, and cut off by the proxy, which tells of it.
const told = "X-Forwarded-Prefix '/waggle'";
const ways = [
  ['is named in the config', { basePath: '/waggle' }, (recipe: string) => recipe],
  [
    'a proxy cuts off and tells of',
    { trustedProxies: ['127.0.0.1'] },
    (recipe: string) =>
      recipe
        .replace('proxy_pass http://waggle;', 'proxy_pass http://waggle/;')
        .replace("X-Forwarded-Prefix ''", told),
  ],
] as const;

describe.runIf(programPath('nginx')).each(ways)('below a path that %s', (_, transport, change) => {
  let browser: Browser;
  let hive: Hive;
  let front: Awaited<ReturnType<typeof startRecipe>>;
  let visitor: Visitor;
  beforeAll(async () => {
    browser = await startBrowser();
    hive = await startHive({
      plugins: [endpointOverview, endpointConversations, endpointDocs, uiWeb],
      config: { transport, 'agent-queen': { candidates: ['eliza'] } },
    });
    front = await startRecipe('nginx', { port: Number(new URL(hive.url).port), below: '/waggle', change });
    visitor = await Visitor.come(browser, front.url, { ignoreHTTPSErrors: true });
  });
  afterEach(() => expect(visitor.problems).toEqual([]));
  afterAll(async () => {
    await visitor.close();
    await browser.close();
    await front.proxy.close();
    await hive.close();
  });

  it('the chat page asks, keeps, and leads to the inspector and back', async () => {
    const page = await visitor.visit('/ui');
    await connected(page);
    await send(page, 'Hallo');
    await answered(page);
    // Over HTTP, as what is too long for a frame.
    await send(page, `Hallo ${'x'.repeat(70_000)}`);
    await page.locator('.answer').nth(1).locator('.note').waitFor({ state: 'attached' });
    await page.locator('#new').click();
    await page.locator('#list a').first().click();
    await untilText(page.locator('#messages'), 'Hallo');
    await page.locator('#inspector').click();
    await page.locator('#freshness[data-state="live"]').waitFor();
    expect(new URL(page.url()).pathname).toBe('/waggle/ui/inspector');
    await page.getByRole('link', { name: 'Chat' }).click();
    await connected(page);
    expect(new URL(page.url()).pathname).toBe('/waggle/ui');
  });

  it.each(['/ui/', '//ui', '/ui//'])('%s is the chat page, too', async (path) => {
    const page = await visitor.visit(path);
    await connected(page);
    await page.locator('#new').click();
    await page.close();
  });

  it('the documents are shown, and can be tried', async () => {
    const page = await visitor.visit('/docs');
    await page.locator('.opblock').first().waitFor();
    expect(await page.locator('#address').inputValue()).toBe('/waggle/v1/responses');
    await page.locator('#endpoint').selectOption('/ws/{client_id}');
    expect(await page.locator('#address').inputValue()).toMatch(/^\/waggle\/ws\/docs-/);
    await page.locator('#connect').click();
    await untilText(page.locator('#state'), 'connected');
    await page.locator('#type').selectOption('ping');
    await page.locator('#send').click();
    await untilText(page.locator('#log'), '"pong"');
    const health = page.locator('.opblock', { hasText: '/health' }).first();
    await health.locator('.opblock-summary-control').click();
    await health.getByRole('button', { name: 'Try it out' }).click();
    await health.getByRole('button', { name: 'Execute' }).click();
    await untilText(health.locator('.live-responses-table'), '"ok"');
  });
});

describe.runIf(programPath('nginx')).each(ways)('a sign-in below a path that %s', (_, transport, change) => {
  it('sets a cookie for that path alone, and is kept over a reload', async () => {
    const browser = await startBrowser();
    const hive = await startHive({
      plugins: [accessPlugin(), endpointMe, endpointOverview, endpointConversations, uiWeb],
      config: { transport: { ...transport, trustedProxies: ['127.0.0.1'] } },
    });
    const port = Number(new URL(hive.url).port);
    const front = await startRecipe('nginx', { port, below: '/waggle', change });
    const visitor = await Visitor.come(browser, front.url, { ignoreHTTPSErrors: true });
    try {
      const page = await visitor.visit('/ui');
      await page.getByLabel('Key or token').fill('token-of-ann');
      await page.keyboard.press('Enter');
      await connected(page);
      await page.reload();
      await connected(page);
      await untilText(page.locator('#account .user'), 'ann');
      expect(await page.context().cookies()).toMatchObject([
        {
          path: '/waggle/',
          httpOnly: true,
          sameSite: 'Strict',
          secure: front.url.startsWith('https:'),
        },
      ]);
    } finally {
      await visitor.close();
      await browser.close();
      await front.proxy.close();
      await hive.close();
    }
  });
});
