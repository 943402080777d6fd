/// <reference lib="dom" />
import { describe, expect, it } from 'vitest';
import { WaggleError } from '#kernel';
import { untilText } from '../support/browser.js';
import { say, use } from '../support/scripted-model.js';
import { parts, WorkStage } from './agents-at-work.js';
import { faults } from './faults.js';
import { answered, connected, send, stored } from './stage.js';

const stage = new WorkStage();

describe('tools in an answer', () => {
  it('are folded where they happen, and unfolded with the keyboard', async () => {
    stage.turns(
      [say('I **look**.\n\n'), use('wait', { where: ['a', 'b'] })],
      [say('I look again.'), use('echo', { deep: { a: 1 } })],
      [say('Found.')],
    );
    const page = await stage.chat();
    await send(page, 'Find it');
    await untilText(page.locator('.call .how'), 'running');
    expect(await page.locator('.state').isHidden()).toBe(true);
    stage.letGo();
    await answered(page);
    expect(await parts(page)).toEqual(['I look.', 'wait done', 'I look again.', 'echo done', 'Found.']);
    expect(await page.locator('.call .how').first().textContent()).toMatch(/^done · [\d.]+ m?s$/);
    expect(await page.locator('.parts strong').textContent()).toBe('look');

    const first = page.locator('.call').first();
    await page.getByRole('button', { name: 'Delete question and answer' }).focus();
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toMatch(/^wait/);
    await page.keyboard.press('Enter');
    await untilText(first.locator('pre').first(), '"where": [\n    "a",\n    "b"\n  ]');
    await untilText(first.locator('pre').nth(1), 'waited');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Space');
    await first.locator('pre').first().waitFor({ state: 'hidden' });
  });

  it('stay in view for one who has unfolded them, while the answer goes on', async () => {
    const lines = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`line${index}`, index]));
    stage.turns([use('echo', lines), use('wait', {})], [say('A line.\n\n'.repeat(60))]);
    const page = await stage.chat();
    await send(page, 'Go');
    await untilText(page.locator('.call').nth(1), 'running');
    await page.locator('.call summary').first().click();
    await page.locator('#to-end').waitFor();
    const top = await page.locator('#log').evaluate((log) => log.scrollTop);
    stage.letGo();
    await answered(page);
    expect(await page.locator('#log').evaluate((log) => log.scrollTop)).toBe(top);
    await page.locator('#to-end').click();
    await page.locator('#to-end').waitFor({ state: 'hidden' });
  });

  it('fail in words, and the answer goes on', async () => {
    stage.turns([use('break', {})], [use('nothing_like_it', {})], [say('Never mind.')]);
    const page = await stage.chat();
    await send(page, 'Break it');
    await answered(page);
    expect(await parts(page)).toEqual(['break failed', 'nothing_like_it failed', 'Never mind.']);
    await page.locator('.call summary').first().click();
    await untilText(page.locator('.call pre').nth(1), /^TASK_FAILED: task "break" failed/);
    const said = await page.locator('#spoken p').allTextContents();
    expect(said.map((each) => each.trim())).toEqual([
      'break failed.',
      'nothing_like_it failed.',
      'Never mind.',
      'End of the answer.',
    ]);
  });

  it('are there again after a reload, in the middle and at the end, each once', async () => {
    stage.turns(
      [say('One. '), use('echo', { a: 1 }), use('wait', {})],
      [say('Two. '), use('echo', { b: 2 })],
      [say('Three.')],
    );
    const page = await stage.chat();
    await send(page, 'Go');
    await untilText(page.locator('.call').nth(0), 'done');
    await page.reload();
    await connected(page);
    await untilText(page.locator('.call').nth(1), 'running');
    stage.letGo();
    await answered(page);
    const all = ['One.', 'echo done', 'wait done', 'Two.', 'echo done', 'Three.'];
    expect(await parts(page)).toEqual(all);
    await page.reload();
    await answered(page);
    expect(await parts(page)).toEqual(all);
    await page.locator('.call summary').first().click();
    await untilText(page.locator('.call pre').first(), '"a": 1');
    expect((await stored(page))[1]?.content).toBe('One. Two. Three.');
  });

  it('are part of one answer in a browser that has forgotten it, as far as the server remembers', async () => {
    stage.turns([say('One. '), use('echo', {})], [say('Two. '), use('echo', {})], [say('Three.')]);
    const page = await stage.chat();
    await send(page, 'Go');
    await answered(page);
    await page.evaluate(() =>
      localStorage.removeItem(`waggle:messages:${location.hash.slice('#c/'.length)}`),
    );
    await page.reload();
    await answered(page);
    expect(await page.locator('.answer').count()).toBe(1);
    expect(await parts(page)).toEqual(['One.', 'echo done', 'Two.', 'echo done', 'Three.']);
  });

  it('that do not end before the answer are said to have not', async () => {
    stage.turns([say('Well. '), use('wait', {})]);
    const page = await stage.chat();
    await send(page, 'Go');
    await untilText(page.locator('.call .how'), 'running');
    await page.keyboard.press('Escape');
    await answered(page);
    expect(await parts(page)).toEqual(['Well.', 'wait not finished']);
    expect(await page.locator('.note').textContent()).toContain('stopped');
  });

  it('have text that stays text, whatever it is, and long results that do not fill the storage', async () => {
    const attack = '<img src=x onerror="hacked()"><script>hacked()</script>';
    stage.turns(
      [say('Look: '), use('say', { a: attack }), use(`<b>${'no'.repeat(200)}</b>`, attack)],
      [use('say', { long: 'long '.repeat(6000) })],
      [say('Seen.')],
    );
    const page = await stage.chat();
    await page.evaluate(() => {
      Object.assign(globalThis, { attacks: 0, hacked: () => Object.assign(globalThis, { attacks: 1 }) });
    });
    await send(page, 'Attack');
    await answered(page);
    for (const summary of await page.locator('.call summary').all()) await summary.click();
    expect(await page.locator('.call').nth(0).locator('pre').nth(1).textContent()).toBe(attack);
    await untilText(page.locator('.call').nth(1).locator('pre').first(), attack);
    const long = page.locator('.call').nth(2).locator('pre').nth(1);
    expect((await long.textContent())?.length).toBe(30_000);
    expect(await page.locator('.answer :is(img, script, b)').count()).toBe(0);
    expect(await page.evaluate(() => Reflect.get(globalThis, 'attacks'))).toBe(0);
    await page.reload();
    await answered(page);
    await page.locator('.call summary').nth(2).click();
    await untilText(long, '[the first 4,000 of 30,000 characters]');
  });

  it('show what cannot be seen in their arguments', async () => {
    stage.turns([use('echo', { file: 'safe\u202etxt.exe' })], [say('Done.')]);
    const page = await stage.chat();
    await send(page, 'Go');
    await answered(page);
    await page.locator('.call summary').click();
    await untilText(page.locator('.call pre'), 'safe\\u202etxt.exe');
  });
});

describe('agents that work for one another', () => {
  it('are told of in a quiet line', async () => {
    stage.turns([say('I ask. '), use('consult_support', { question: 'Well?' })], [say('They say yes.')]);
    const page = await stage.chat();
    await send(page, 'Ask');
    await answered(page);
    expect(await parts(page)).toEqual([
      'I ask.',
      'consult_support done',
      'support was asked',
      'They say yes.',
    ]);
    expect(await page.locator('.note').textContent()).toMatch(/^model · /);
    await untilText(page.locator('#spoken'), 'support is asked.');
  });

  it('hand over: the answer is that of the new one', async () => {
    stage.turns([say('One moment. '), use('hand_over_to_support', {})]);
    const page = await stage.chat();
    await send(page, 'Help');
    await answered(page);
    const all = ['One moment.', 'hand_over_to_support done', 'handed over to support', 'Support here.'];
    expect(await parts(page)).toEqual(all);
    expect(await page.locator('.note').textContent()).toMatch(/^support · /);
    expect(await page.locator('.answer h2').textContent()).toBe('Answer by support');
    await page.reload();
    await answered(page);
    expect(await parts(page)).toEqual(all);
    expect(await page.locator('.note').textContent()).toMatch(/^support · /);
  });

  it('fail, and the one that wanted to hand over goes on', async () => {
    stage.support.turn = () => {
      throw new WaggleError('AGENT_UNAVAILABLE', { agent: 'support', why: 'gone' });
    };
    stage.turns([use('hand_over_to_support', {})], [say('I am still here.')]);
    const page = await stage.chat();
    await send(page, 'Help');
    await answered(page);
    expect(await parts(page)).toEqual(['hand_over_to_support failed', 'support failed', 'I am still here.']);
    expect(await page.locator('.note').textContent()).toMatch(/^model · /);
  });
});

describe('an answer with tools', () => {
  it.each(['light', 'dark'] as const)(
    'has no faults in %s colours, and fits a narrow screen',
    async (colorScheme) => {
      stage.turns(
        [say('I look. '), use('echo', { key: 'averylongword'.repeat(40) }), use('break', {})],
        [use('consult_support', { question: 'Well?' })],
        [use('x'.repeat(64), {})],
        [say('Done.')],
      );
      const page = await stage.chat({ colorScheme, viewport: { width: 390, height: 700 } });
      await send(page, 'Go');
      await answered(page);
      for (const summary of await page.locator('.call summary').all()) await summary.click();
      await page.locator('.call pre').nth(4).waitFor();
      expect(await faults(page)).toEqual([]);
      const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect(content).toBe(window);
      const log = page.locator('#log');
      expect(await log.evaluate((box) => box.scrollWidth - box.clientWidth)).toBe(0);
    },
  );
});
