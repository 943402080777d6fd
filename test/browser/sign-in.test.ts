/// <reference lib="dom" />
import type { Page } from 'playwright-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Access, type AuditEntry, definePlugin, Limits, WaggleError } from '#kernel';
import endpointMe from '../../plugins/endpoint-me/index.js';
import { accessPlugin, TestUsers } from '../support/access.js';
import { done, text } from '../support/agents.js';
import { untilText, type Visitor } from '../support/browser.js';
import { startHttpServer } from '../support/http-server.js';
import { faults } from './faults.js';
import { answer, answered, connected, Stage, send } from './stage.js';

let users: TestUsers;
let left = 5;
const limits = { requestsPerMinute: 60, repliesAtOnce: 2, tokensPerDay: 100_000 };

/** Counts replies only, so that a test knows the figures. */
const limitsPlugin = definePlugin({
  name: 'test-limits',
  apiVersion: 1,
  provides: [Limits],
  setup: (ctx) =>
    void ctx.provide(Limits, {
      of: (principal) => principal.limits,
      request: (principal) => {
        if (principal.limits && left === 0)
          throw new WaggleError('RATE_LIMITED', { limit: 60, what: 'requests', retryAfterMs: 150_000 });
      },
      reply: () => undefined,
      tokens: () => undefined,
      left: async () => ({
        requestsPerMinute: { limit: 60, left, resetMs: 30_000 },
        repliesAtOnce: { limit: 2, left: 2 },
        tokensPerDay: { limit: 100_000, left: 75_000, resetMs: 7_200_000 },
      }),
    }),
});

const stage = new Stage({
  plugins: () => {
    users = new TestUsers();
    users.add('token-of-carl', { id: 'carl', limits });
    return [accessPlugin(users), limitsPlugin, endpointMe];
  },
  // Browsers write each refusal of a server into their console, and look for an icon where a page names none.
  tolerates: /the server responded with a status of 40[134]/,
});

let audit: AuditEntry[];
beforeEach(() => {
  left = 5;
  audit = [];
  stage.hive.kernel.bus.on('access:audited', (entry) => void audit.push(entry));
});

const form = (page: Page) => page.getByRole('dialog', { name: 'Sign in' });

async function signIn(page: Page, token: string): Promise<void> {
  await form(page).waitFor();
  await page.getByLabel('Key or token').fill(token);
  await page.keyboard.press('Enter');
}

/** A new browser, signed in. */
async function device(token: string): Promise<{ readonly visitor: Visitor; readonly page: Page }> {
  const visitor = await stage.visitor();
  const page = await visitor.visit();
  await signIn(page, token);
  await connected(page);
  return { visitor, page };
}

/** All that the page keeps in the browser. */
const kept = (page: Page) =>
  page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]));

const cookieOf = async (page: Page) => {
  const [cookie] = await page.context().cookies();
  return { cookie: `${cookie?.name}=${cookie?.value}` };
};

const statusOf = async (path: string, headers: Record<string, string>) =>
  (await fetch(`${stage.hive.url}${path}`, { headers })).status;

describe('a server that asks who one is', () => {
  it('lets in whom it knows, says plainly whom it does not, and remembers it over a reload', async () => {
    const page = await (await stage.visitor()).visit();
    await form(page).waitFor();
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('token');
    expect(await page.getByLabel('Key or token').getAttribute('type')).toBe('password');
    expect(await faults(page)).toEqual([]);
    for (let time = 0; time < 3; time++) await page.keyboard.press('Escape');
    await form(page).waitFor();
    await page.keyboard.type('wrong');
    await page.keyboard.press('Enter');
    await untilText(page.getByRole('alert'), 'This key or token is not valid.');
    expect(await faults(page)).toEqual([]);
    // What was wrong is selected, and typing replaces it.
    await page.keyboard.type('token-of-ann');
    await page.keyboard.press('Enter');
    await connected(page);
    await untilText(page.locator('#account .user'), 'ann');
    expect(await faults(page)).toEqual([]);
    await page.reload();
    await connected(page);
    await untilText(page.locator('#account .user'), 'ann');
    expect(await form(page).isVisible()).toBe(false);
    expect(await kept(page)).not.toContain('token-of-ann');
    expect(await page.evaluate(() => document.cookie)).toBe('');
    expect(await page.locator('#inspector').isVisible()).toBe(false);
    expect(audit.filter(({ action }) => action === 'sign_in')).toMatchObject([{ userId: 'ann' }]);
  });

  it('has the conversations of a user on each device, and those of nobody else', async () => {
    stage.script(text('To the sun.'), done);
    const { page: first } = await device('token-of-ann');
    await send(first, 'Where do bees fly?');
    await answered(first);
    const { page: second } = await device('token-of-ann');
    await untilText(second.locator('#list'), 'Where do bees fly?');
    await second.locator('#list a').first().click();
    await untilText(second.locator('.answer .markdown'), 'To the sun.');
    await connected(first);
    stage.script(text('Home.'), done);
    await send(second, 'And then?');
    await untilText(second.locator('.answer .markdown').last(), 'Home.');
    await answered(second);
    // The first one sees it as soon as it is looked at.
    await first.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await untilText(first.locator('.answer .markdown').nth(1), 'Home.');
    await second.getByRole('button', { name: 'Delete “Where do bees fly?”' }).click();
    await second.locator('#welcome').waitFor();
    await first.reload();
    await connected(first);
    await first.locator('#list-empty').waitFor();

    const { page: other } = await device('token-of-bob');
    await other.locator('#list-empty').waitFor();
  });

  it('resumes an answer after a reload', async () => {
    stage.script(text('First, '), 'wait', text('then.'), done);
    const { page } = await device('token-of-ann');
    await send(page, 'Count');
    await untilText(page.locator('.answer .markdown'), 'First');
    await page.reload();
    await untilText(page.locator('.answer .markdown'), 'First');
    stage.agent.release();
    await answered(page);
    expect(await answer(page)).toBe('First, then.');
    expect(stage.agent.requests).toHaveLength(1);
  });

  it('signs out: the page, its other tab, and a copy of the cookie; nothing is left for the next one', async () => {
    stage.script(text('A secret answer.'), done);
    const { visitor, page } = await device('token-of-ann');
    await send(page, 'A secret question');
    await answered(page);
    const tab = await visitor.visit();
    await connected(tab);
    await untilText(tab.locator('#list'), 'A secret question');
    const copy = await cookieOf(page);
    expect(await statusOf('/me', copy)).toBe(200);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await form(page).waitFor();
    await form(tab).waitFor();
    expect(await statusOf('/me', copy)).toBe(401);
    expect(await page.context().cookies()).toEqual([]);
    for (const each of [page, tab]) {
      expect(await kept(each)).not.toMatch(/secret|ann|messages/);
      expect(await each.locator('body').textContent()).not.toContain('secret');
    }
    await page.reload();
    await signIn(page, 'token-of-bob');
    await connected(page);
    await page.locator('#list-empty').waitFor();
    await untilText(page.locator('#account .user'), 'bob');
    expect(audit).toContainEqual(expect.objectContaining({ action: 'sign_out', userId: 'ann' }));
    expect(JSON.stringify(audit)).not.toContain('token-of');
  });
});

describe('credentials that end in the middle of an answer', () => {
  it.each([
    ['are asked for again; what was typed stays, and the answer goes on', 'token-of-ann'],
    ['are those of another user: nothing of the first one is there', 'token-of-bob'],
  ])('%s', async (_, token) => {
    stage.script(text('Before 🐝, '), 'wait', text('after.'), done);
    const { page } = await device('token-of-ann');
    await send(page, 'A private question');
    await untilText(page.locator('.answer .markdown'), 'Before');
    await page.locator('#message').fill('a draft');
    const revoked = users.remove('token-of-ann');
    stage.hive.kernel.get(Access).revoke((principal) => principal === revoked);
    await untilText(form(page), 'Your sign-in has ended.');
    expect(await faults(page)).toEqual([]);
    await signIn(page, 'wrong');
    await untilText(page.getByRole('alert'), 'This key or token is not valid.');
    users.add('token-of-ann', { id: 'ann' });
    stage.agent.release();
    await signIn(page, token);
    await connected(page);
    if (token === 'token-of-bob') {
      await page.locator('#list-empty').waitFor();
      expect(await kept(page)).not.toContain('private');
      expect(await page.locator('body').textContent()).not.toContain('private');
      return void (await stage.quiet());
    }
    await answered(page);
    expect(await answer(page)).toBe('Before 🐝, after.');
    expect(await page.locator('#message').inputValue()).toBe('a draft');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('message');
    expect(stage.agent.requests).toHaveLength(1);
  });

  it('are renewed before their end, or later', async () => {
    users.add('short', { id: 'ann', expiresAt: Date.now() + 25_000 });
    stage.script(text('Before, '), 'wait', text('between, '), 'wait', text('after.'), done);
    const { page } = await device('token-of-ann');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await signIn(page, 'short');
    await untilText(form(page), 'Your sign-in ends within half a minute.');
    await page.getByRole('button', { name: 'Later' }).click();
    await form(page).waitFor({ state: 'hidden' });
    await send(page, 'Go on');
    await untilText(page.locator('.answer .markdown'), 'Before');
    await page.reload();
    await untilText(form(page), 'Your sign-in ends within half a minute.');
    await untilText(page.locator('.answer .markdown'), 'Before');
    stage.agent.release();
    await untilText(page.locator('.answer .markdown'), 'between');
    await signIn(page, 'token-of-ann');
    await form(page).waitFor({ state: 'hidden' });
    stage.agent.release();
    await answered(page);
    expect(await answer(page)).toBe('Before, between, after.');
    expect(await page.locator('#connection').getAttribute('data-state')).toBe('open');
  });
});

describe('limits', () => {
  it('are shown with what is left, and told of in plain words where nothing is', async () => {
    stage.script(text('One.'), done);
    const { visitor, page } = await device('token-of-carl');
    await untilText(page.locator('#account'), '5 of 60 requests a minute left, all of them in 30 seconds');
    await untilText(page.locator('#account'), '2 of 2 answers at once left');
    await untilText(page.locator('#account'), '75,000 of 100,000 tokens a day left, all of them in 2 hours');
    expect(await faults(page)).toEqual([]);
    left = 4;
    await send(page, 'One');
    await answered(page);
    await untilText(page.locator('#account'), '4 of 60 requests');
    left = 0;
    await send(page, 'Two');
    await untilText(
      page.locator('.failure'),
      'You have asked too much in a short time. Try again in 3 minutes.',
    );
    await page.reload();
    await untilText(page.locator('#notice'), 'You have asked too much in a short time.');
    await expect.poll(() => visitor.problems.filter((each) => each.includes('429'))).not.toEqual([]);
    visitor.problems.splice(0);
  });
});

describe('the inspector', () => {
  it('is for operators, who see whose answer is running and cancel it without a mouse', async () => {
    stage.script(text('Endless '), 'wait', done);
    const { page: chat } = await device('token-of-ann');
    await send(chat, 'Go on');
    await untilText(chat.locator('.answer .markdown'), 'Endless');
    await chat.goto(`${stage.hive.url}/ui/inspector`);
    await untilText(chat.locator('h1'), 'This page is for operators');
    await chat.getByRole('link', { name: 'To the chat' }).click();
    await connected(chat);
    await chat.locator('#list a').first().click();

    const visitor = await stage.visitor();
    const page = await visitor.visit('/ui/inspector');
    await untilText(page.locator('h1'), 'Sign in first');
    expect(await faults(page)).toEqual([]);
    await page.getByRole('link', { name: 'Sign in' }).click();
    await signIn(page, 'token-of-root');
    await connected(page);
    await page.locator('#inspector').click();
    await untilText(page.locator('#streams tbody'), /^[\w-]{6} annstreamingscripted.* ago1/);
    const cancel = page.getByRole('button', { name: /^Cancel [\w-]{6}$/ });
    await cancel.focus();
    // The row changes each second, and the focus stays.
    const shown = await page.locator('#streams tbody').textContent();
    await expect.poll(() => page.locator('#streams tbody').textContent()).not.toBe(shown);
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toMatch(/^Cancel/);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Cancel this answer?' }).waitFor();
    expect(await faults(page)).toEqual([]);
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await untilText(page.locator('#streams tbody'), /^[\w-]{6} anncancelled/);
    await untilText(chat.locator('.failure'), 'The server stopped this answer.');
    expect(audit).toContainEqual(
      expect.objectContaining({
        what: expect.stringMatching(/^cancel reply [\w-]{6} of ann$/),
        userId: 'root',
      }),
    );
    // Signed out in another tab, it leads to the sign-in.
    const tab = await visitor.visit();
    await connected(tab);
    await tab.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in first' }).waitFor();
  });
});

describe('a page of another origin', () => {
  let close: (() => Promise<void>) | undefined;
  afterEach(() => close?.());

  it.each(['127.0.0.1', 'localhost'])('at another port of %s cannot use the cookie', async (host) => {
    const other = await startHttpServer((_request, response) => {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>other</title>');
    });
    close = other.close;
    const { visitor, page } = await device('token-of-root');
    const before = audit.length;
    const evil = await page.context().newPage();
    await evil.goto(other.url.replace('127.0.0.1', host));
    const { url } = stage.hive;
    const result = await evil.evaluate(async (target) => {
      const tried = async (path: string, options: RequestInit) => {
        try {
          const response = await fetch(target + path, { credentials: 'include', ...options });
          return `${response.type} ${response.status} ${(await response.text()).slice(0, 40)}`;
        } catch {
          return 'refused';
        }
      };
      const json = { 'content-type': 'application/json' };
      const socket = new WebSocket(`${target.replace('http', 'ws')}/ws/evil`);
      const closed = new Promise<number>((resolve) => {
        socket.onopen = () => socket.send('{"type":"stream_request","content":"x"}');
        socket.onclose = ({ code }) => resolve(code);
      });
      const image = new Image();
      const shown = new Promise<string>((resolve) => {
        image.onload = () => resolve('shown');
        image.onerror = () => resolve('refused');
      });
      image.src = `${target}/ui/state`;
      const frame = document.createElement('iframe');
      frame.name = 'answer';
      const form = document.createElement('form');
      Object.assign(form, {
        method: 'post',
        action: `${target}/chat`,
        target: 'answer',
        enctype: 'text/plain',
      });
      const field = document.createElement('input');
      Object.assign(field, { name: '{"content":"x","a":"', value: '"}' });
      form.append(field);
      document.body.append(frame, form);
      const sent = new Promise((resolve) => {
        frame.onload = resolve;
      });
      form.submit();
      await sent;
      return {
        read: await tried('/me', {}),
        blind: await tried('/ui/state', { mode: 'no-cors' }),
        asked: await tried('/chat', { method: 'POST', headers: json, body: '{"content":"x"}' }),
        blindAsked: await tried('/chat', { method: 'POST', mode: 'no-cors', body: '{"content":"x"}' }),
        removed: await tried('/ui/session', { method: 'DELETE' }),
        signedIn: await tried('/ui/session', {
          method: 'POST',
          credentials: 'omit',
          headers: json,
          body: '{"token":"token-of-bob"}',
        }),
        cancelled: await tried('/ui/replies/1', { method: 'DELETE' }),
        socket: await closed,
        image: await shown,
      };
    }, url);
    expect(result).toEqual({
      ...{
        read: 'refused',
        asked: 'refused',
        removed: 'refused',
        signedIn: expect.stringContaining('cors 403'),
        cancelled: 'refused',
      },
      ...{
        blind: expect.stringMatching(/^opaque 0 $|refused/),
        blindAsked: expect.stringMatching(/^opaque 0 $|refused/),
      },
      ...{ socket: expect.toBeOneOf([4401, 1006]), image: 'refused' },
    });
    // The server has seen all of it, and has done nothing.
    const seen = audit.slice(before);
    expect(new Set(seen.map(({ action }) => action))).toEqual(new Set(['refused']));
    expect(seen.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['GET /me', 'GET /ui/state', 'POST /chat', 'POST /ui/session']),
    );
    expect(seen.filter(({ userId }) => userId !== undefined)).toEqual([]);
    expect(stage.agent.requests).toEqual([]);
    await evil.close();
    await page.reload();
    await connected(page);
    await untilText(page.locator('#account .user'), 'root');
    visitor.problems.splice(0);
  });
});
