import { describe, expect, it } from 'vitest';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { answered, Stage, send } from './stage.js';

const stage = new Stage();

describe('the inspector', () => {
  it('shows what goes on while it goes on, in figures and charts', async () => {
    stage.script(...Array.from({ length: 50 }, (_, index) => text(`word${index} `)), 'wait', done);
    const visitor = await stage.visitor();
    const chat = await visitor.visit();
    await chat.locator('#inspector').waitFor();
    const page = await visitor.visit('/ui/inspector');
    await untilText(page.locator('#freshness'), 'Live');
    await untilText(page.locator('#tiles'), '0 in total');
    await untilText(page.locator('#streams'), 'No replies yet.');
    // Two samples are a line.
    await untilText(page.locator('.chart .now').first(), '0');
    const drawn = () =>
      page
        .locator('.chart canvas')
        .first()
        .evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
    const before = await drawn();

    await send(chat, 'Talk');
    await untilText(page.locator('#streams tbody'), /^[\w-]{6}streamingscripted/);
    await untilText(page.locator('#tiles'), '50 in total');
    await untilText(page.locator('#connections'), '/ws/{client_id}1 open');
    await untilText(page.locator('#tasks tbody'), 'chat:message');
    await page.locator('.canvas[aria-label*="Tokens per second"]:not([aria-label*=" 0 at most"])').waitFor();
    expect(await drawn()).not.toBe(before);
    stage.agent.release();
    await answered(chat);
    await untilText(page.locator('#streams tbody'), /^[\w-]{6}finishedscripted/);
    await untilText(page.locator('#connections'), '1 complete, 0 stopped, 0 failed');
  });

  it('shows every plugin with its state and what it has registered, and every agent with its health', async () => {
    const page = await (await stage.visitor()).visit('/ui/inspector');
    const row = (name: string) =>
      page.locator('#plugins tbody tr', { has: page.getByRole('rowheader', { name, exact: true }) });
    await untilText(row('endpoint-ws'), 'WS /ws/{client_id}');
    await untilText(row('endpoint-chat'), 'POST /chat');
    await untilText(row('streams-memory'), 'task chat:message');
    await untilText(row('agent-scripted'), 'agent scripted');
    expect(await page.locator('#plugins tbody tr').count()).toBe(stage.hive.kernel.inspect().plugins.length);
    await untilText(page.locator('#agents'), 'scripted');
    await untilText(page.locator('#agents'), 'gemma2:2b');
    stage.agent.healthy = { healthy: false, detail: 'it sleeps' };
    await untilText(page.locator('#agents'), 'unhealthy');
    await untilText(page.locator('#agents'), 'it sleeps');
    await stage.hive.kernel.unload('agent-scripted');
    await row('agent-scripted').waitFor({ state: 'detached' });
  });

  it('cancels a running answer, once that was confirmed', async () => {
    stage.script(text('Endless '), 'wait', done);
    const visitor = await stage.visitor();
    const chat = await visitor.visit();
    await send(chat, 'Go on');
    await untilText(chat.locator('.answer .markdown'), 'Endless');
    const page = await visitor.visit('/ui/inspector');
    const cancel = page.getByRole('button', { name: /^Cancel [\w-]{6}$/ });
    await cancel.click();
    await page.getByRole('button', { name: 'Let it go on' }).click();
    await untilText(page.locator('#streams tbody'), /^[\w-]{6}streamingscripted/);
    await cancel.click();
    await page.getByRole('button', { name: 'Cancel it' }).click();
    await untilText(page.locator('#streams tbody'), /^[\w-]{6}cancelledscripted/);
    await untilText(chat.locator('.failure'), 'The server stopped this answer.');
    expect(await cancel.count()).toBe(0);
  });

  it('rests while nobody sees it', async () => {
    const page = await (await stage.visitor()).visit('/ui/inspector');
    await untilText(page.locator('#freshness'), 'Live');
    const setHidden = (hidden: boolean) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await setHidden(true);
    await untilText(page.locator('#freshness'), 'Paused');
    await setHidden(false);
    await untilText(page.locator('#freshness'), 'Live');
  });

  it('says when the server is gone', async () => {
    const visitor = await stage.visitor();
    const page = await visitor.visit('/ui/inspector');
    await untilText(page.locator('#freshness'), 'Live');
    await stage.hive.kernel.unload('ui-web');
    await untilText(page.locator('#freshness'), 'The server is not responding');
    const problems = visitor.problems.splice(0);
    expect(problems.filter((each) => !each.includes('404'))).toEqual([]);
  });
});
