/// <reference lib="dom" />
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startBrowser, untilText, Visitor } from '../support/browser.js';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { freePort } from '../support/free-port.js';
import { startServer } from '../support/server.js';
import { chooseUnlisted, connected, send } from './stage.js';

let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());
let undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of undo.reverse()) await each();
  undo = [];
});

/** Questions and answers of a page, without those of which it says that the model does not know. */
const known = (page: Page) =>
  page.evaluate(() => {
    const all = [...document.querySelectorAll('#messages > *')];
    const lost = all.findLastIndex((each) => each.matches('.earlier'));
    return all
      .slice(lost + 1)
      .filter((each) => each.matches('.question'))
      .map((each) => each.querySelector('.bubble')?.textContent);
  });

/** The questions that the model heard last. */
const heard = (fake: FakeOllama) => {
  const { body } = fake.requests.findLast(({ path }) => path === '/api/chat') ?? {};
  const { messages = [] } = (body ?? {}) as { readonly messages?: { role: string; content: string }[] };
  return messages.filter(({ role }) => role === 'user').map(({ content }) => content);
};

describe('a server that is killed in the middle of an answer', () => {
  it.each([
    ['store-sqlite', true],
    ['store-memory', false],
  ])(
    'leaves pages that all show what the model will hear: %s',
    async (_, isKept) => {
      const folder = await mkdtemp(join(tmpdir(), 'waggle-'));
      undo.push(() => rm(folder, { recursive: true, force: true }));
      const fake = await startFakeOllama();
      undo.push(() => fake.close());
      const port = await freePort();
      const start = () =>
        startServer({
          alone: true,
          env: { OLLAMA_HOST: fake.url, PORT: String(port) },
          config: isKept
            ? {
                plugins: {
                  'store-memory': { enabled: false },
                  'store-sqlite': { config: { path: join(folder, 'c.sqlite') } },
                },
              }
            : {},
        });
      let server = await start();
      undo.push(() => server.stop('SIGKILL'));
      const desk = await Visitor.come(browser, server.url);
      const phone = await Visitor.come(browser, server.url, { viewport: { width: 390, height: 800 } });
      undo.push(
        () => desk.close(),
        () => phone.close(),
      );
      const first = await desk.visit();
      await connected(first);
      await chooseUnlisted(first, 'ollama', 'slow-tokens?n=100&ms=30');
      await send(first, 'One');
      await first.locator('.answer').first().locator('.note').waitFor();
      const hash = new URL(first.url()).hash;
      const second = await desk.visit(`/ui${hash}`);
      const mobile = await phone.visit();
      const user = await first.evaluate(() => localStorage.getItem('waggle:user') ?? '');
      await mobile.evaluate((value) => localStorage.setItem('waggle:user', value), user);
      await mobile.reload();
      await connected(mobile);
      await mobile.goto(`${server.url}/ui${hash}`);
      const pages = [first, second, mobile];
      for (const page of pages) {
        await connected(page);
        await page.locator('.answer').first().locator('.note').waitFor();
      }
      await send(first, 'Two');
      for (const page of pages)
        await untilText(page.locator('.answer').nth(1).locator('.markdown'), /\S+ \S+/);
      await server.stop('SIGKILL');
      server = await start();
      for (const page of pages) {
        await page.locator('.answer').nth(1).locator('.failure').waitFor();
        await page.locator('#connection[data-state="open"]').waitFor();
      }
      await send(second, 'Three');
      for (const page of pages) await page.locator('.answer').nth(2).locator('.note').waitFor();
      const wanted = isKept ? ['One', 'Three'] : ['Three'];
      expect(heard(fake)).toEqual(wanted);
      for (const page of pages) {
        // All that was said is still there to be read.
        expect(await page.locator('.bubble').allTextContents()).toEqual(['One', 'Two', 'Three']);
        await untilText(page.locator('.earlier').last(), 'The server has lost what is above');
        expect(await known(page)).toEqual(['Three']);
      }
    },
    120_000,
  );
});
