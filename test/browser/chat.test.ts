import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import endpointWs from '../../plugins/endpoint-ws/index.js';
import streamsMemory from '../../plugins/streams-memory/index.js';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { expectedText } from '../support/fake-ollama/index.js';
import { answer, answered, choose, chooseUnlisted, connected, Stage, send, stored } from './stage.js';

const stage = new Stage();
const thinking = (content: string) => ({ type: 'thinking', content }) as const;

describe('an answer in the browser', () => {
  it('appears while it comes, as Markdown, with its thinking folded away', async () => {
    stage.script(
      thinking('Hm, bees. '),
      'wait',
      text('They **dance'),
      'wait',
      text('**, in `eights`.'),
      done,
    );
    const page = await stage.chat();
    await send(page, 'How do bees talk?');
    const shown = page.locator('.answer');
    await untilText(shown.locator('.thoughts'), 'Hm, bees. ');
    expect(await shown.locator('details').getAttribute('open')).toBeNull();
    await page.locator('#stop').waitFor();

    stage.agent.release();
    await untilText(shown.locator('.markdown'), 'They **dance');
    expect(await shown.getAttribute('aria-busy')).toBe('true');
    stage.agent.release();
    await answered(page);
    expect((await shown.locator('.markdown').innerHTML()).trim()).toBe(
      '<p dir="auto">They <strong>dance</strong>, in <code>eights</code>.</p>',
    );
    expect(await shown.locator('.note').textContent()).toMatch(/^scripted · 2 tokens · \d+\.\d s$/);
    expect(await shown.getAttribute('aria-busy')).toBeNull();
    await page.locator('#send').waitFor();
    expect(stage.agent.requests[0]?.messages.at(-1)?.content).toBe('How do bees talk?');
  });

  it('is stopped with Escape, up to the socket of the model, and keeps what has come', async () => {
    const page = await stage.chat();
    await chooseUnlisted(page, 'ollama', 'endless?ms=5');
    await send(page, 'Go on');
    await untilText(page.locator('.answer .markdown'), /\S+ \S+ \S+/);
    await page.keyboard.press('Escape');
    await answered(page);
    expect(await page.locator('.answer .note').textContent()).toContain('stopped');
    await stage.quiet();
    const chats = stage.fake.requests.filter(({ path }) => path === '/api/chat');
    expect(chats.map(({ endedBy }) => endedBy)).toEqual(['peer']);

    const [, kept] = await stored(page);
    await page.reload();
    await answered(page);
    expect(await stored(page)).toEqual([expect.anything(), kept]);
    expect(kept?.content.length).toBeGreaterThan(5);
  });

  it('is stopped by the button, which leaves the focus in the message', async () => {
    stage.script(text('One '), 'wait', text('two'), done);
    const page = await stage.chat();
    await send(page, 'Count');
    await untilText(page.locator('.answer .markdown'), 'One');
    await page.locator('#stop').click();
    await answered(page);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('message');
    expect(await answer(page)).toBe('One');
  });

  it('shows blocks, links and tables with care: copied code, links that tell nobody, tables that scroll', async () => {
    const visitor = await stage.visitor({ permissions: ['clipboard-read', 'clipboard-write'] });
    stage.script(
      text('## Title\n\n```js\nlet a = 1 < 2;\n```\n\n[a](https://example.org "t")\n\n'),
      text('| a | b |\n|---|--:|\n| 1 | 2 |\n\n- [x] done\n- [ ] open\n'),
      done,
    );
    const page = await visitor.visit();
    await connected(page);
    await send(page, 'Show');
    await answered(page);
    await page.getByRole('button', { name: 'Copy code' }).click();
    await untilText(page.locator('.code .copy'), 'Copied');
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('let a = 1 < 2;\n');
    await page.getByRole('button', { name: 'Copy answer' }).click();
    await untilText(page.locator('.answer footer'), 'Copied');
    expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^## Title/);
    const link = page.locator('.markdown a');
    expect(await link.getAttribute('rel')).toBe('noopener noreferrer nofollow');
    expect(await link.getAttribute('target')).toBe('_blank');
    expect(await page.locator('.markdown h3').textContent()).toBe('Title');
    expect(await page.locator('.table td[align="right"]').textContent()).toBe('2');
    expect(await page.locator('.markdown input:checked').getAttribute('aria-label')).toBe('done');
  });
});

describe('a page that is loaded again in the middle of an answer', () => {
  it('shows what had come, goes on, and has neither lost nor doubled anything', async () => {
    stage.script(
      ...([
        thinking('Let me see 🤔. '),
        text('First 🐝, '),
        'wait',
        text('then **second**'),
        'wait',
      ] as const),
      ...([text(', last: naïve 👩‍👩‍👧‍👦.'), done] as const),
    );
    const page = await stage.chat();
    await send(page, 'Count');
    const shown = page.locator('.answer .markdown');
    await untilText(shown, 'First 🐝, ');
    await page.reload();
    await untilText(shown, 'First 🐝, ');
    await connected(page);
    stage.agent.release();
    await untilText(shown, 'then second');
    await page.reload();
    await untilText(shown, 'First 🐝, then second');
    await connected(page);
    stage.agent.release();
    await answered(page);
    expect(await answer(page)).toBe('First 🐝, then second, last: naïve 👩‍👩‍👧‍👦.');
    expect(await page.locator('.thoughts').textContent()).toBe('Let me see 🤔. ');
    expect(await stored(page)).toEqual([
      expect.objectContaining({ role: 'user', content: 'Count' }),
      expect.objectContaining({
        content: 'First 🐝, then **second**, last: naïve 👩‍👩‍👧‍👦.',
        thinking: 'Let me see 🤔. ',
      }),
    ]);
    expect(stage.agent.requests).toHaveLength(1);
  });

  it('joins what it had asked for when not even the first word had come', async () => {
    stage.script('wait', text('Here I am.'), done);
    const page = await stage.chat();
    await send(page, 'Are you there?');
    await untilText(page.locator('.state'), 'Waiting for the first word');
    await page.reload();
    await connected(page);
    stage.agent.release();
    await answered(page);
    expect(await answer(page)).toBe('Here I am.');
    expect(stage.agent.requests).toHaveLength(1);
  });

  it('is exact with a model that speaks all the time, however often it is loaded again', async () => {
    const model = 'slow-tokens?n=200&ms=15&seed=3';
    const page = await stage.chat();
    await chooseUnlisted(page, 'ollama', model);
    await send(page, 'Go');
    for (let time = 0; time < 3; time++) {
      const before = (await page.locator('.answer .markdown').textContent())?.length ?? 0;
      // Where loading takes longer than the answer, it is loaded after its end.
      await page.waitForFunction(
        (length) =>
          document.querySelector('.answer .note') ??
          (document.querySelector('.answer .markdown')?.textContent?.length ?? 0) > length,
        before,
      );
      await page.reload();
    }
    await answered(page);
    expect((await stored(page))[1]?.content).toBe(expectedText(model));
    expect(stage.fake.requests.filter(({ path }) => path === '/api/chat')).toHaveLength(1);
  });

  it('finds an answer that ended while it was away', async () => {
    stage.script(text('One '), 'wait', text('two'), done);
    const page = await stage.chat();
    await send(page, 'Count');
    await untilText(page.locator('.answer .markdown'), 'One');
    const address = page.url();
    await page.goto('about:blank');
    stage.agent.release();
    await stage.quiet();
    await page.goto(address);
    await answered(page);
    expect(await answer(page)).toBe('One two');
  });
});

describe('a lost connection', () => {
  it('is shown, comes back by itself, and costs the answer nothing', async () => {
    stage.script(text('Before, '), 'wait', text('after.'), done);
    const visitor = await stage.visitor();
    const page = await visitor.visit();
    await connected(page);
    await send(page, 'Go');
    await untilText(page.locator('.answer .markdown'), 'Before');
    await stage.hive.kernel.unload('endpoint-ws');
    await untilText(page.locator('#notice'), 'The connection is lost');
    await untilText(page.locator('#connection'), 'Reconnecting');
    stage.agent.release();
    await stage.hive.kernel.load(endpointWs);
    await answered(page);
    await untilText(page.locator('#connection'), 'Connected');
    expect(await page.locator('#notice').textContent()).toBe('');
    expect(await answer(page)).toBe('Before, after.');
    // The browser itself complains of each try.
    const tries = visitor.problems.splice(0);
    expect(tries.filter((each) => !/WebSocket connection to .* failed/.test(each))).toEqual([]);
  });
});

describe('an answer that fails', () => {
  it('says so in plain words, and is asked for again at a click', async () => {
    stage.script(new Error('/etc/secret of the model'));
    const page = await stage.chat();
    await send(page, 'Try');
    await untilText(page.locator('.failure'), 'The model reported an error: it threw an error');
    expect(await page.locator('body').textContent()).not.toContain('secret');
    stage.script(text('Now it works.'), done);
    await page.getByRole('button', { name: 'Try again' }).click();
    await untilText(page.locator('.answer .markdown'), 'Now it works.');
    expect(await page.locator('.answer').count()).toBe(1);
    expect(await page.locator('.failure').count()).toBe(0);
    await answered(page);
  });

  it('keeps what had come before it failed, also over a reload', async () => {
    stage.script(text('Half of it'), new Error('broken'));
    const page = await stage.chat();
    await send(page, 'Try');
    await untilText(page.locator('.failure'), 'The model reported an error: it threw an error');
    await page.reload();
    await untilText(page.locator('.failure'), 'The model reported an error: it threw an error');
    expect(await answer(page)).toBe('Half of it');
    // Also where only the server knows of it.
    await page.evaluate(() => {
      for (const name of Object.keys(localStorage)) if (name !== 'waggle:user') localStorage.removeItem(name);
    });
    await page.reload();
    await untilText(page.locator('.failure'), 'The model reported an error: it threw an error');
    expect(await answer(page)).toBe('Half of it');
  });
});

describe('a long question', () => {
  const paste = (page: Page, content: string) => send(page, content);
  const long = (chars: number) => 'word '.repeat(chars / 5).trim();
  const asked = () => stage.agent.requests.map(({ messages }) => messages.at(-1)?.content);

  it.each([
    ['longer than a frame', long(100_000)],
    ['longer than every frame', long(800_000)],
    ['longer than a frame in bytes only', '€'.repeat(30_000)],
  ])('%s is asked once, over HTTP, and answered', async (_, question) => {
    stage.script(text('That was '), 'wait', text('long.'), done);
    const page = await stage.chat();
    await paste(page, question);
    await untilText(page.locator('.answer .markdown'), 'That was');
    // Which survives a reload like any other.
    await page.reload();
    await untilText(page.locator('.answer .markdown'), 'That was');
    stage.agent.release();
    await answered(page);
    expect(await answer(page)).toBe('That was long.');
    expect(asked()).toEqual([question]);
    await page.locator('#connection[data-state="open"]').waitFor();
    stage.script(text('Short.'), done);
    await send(page, 'And now?');
    await untilText(page.locator('.answer .markdown').last(), 'Short.');
  });

  it('is stopped like any other', async () => {
    stage.script(text('So '), 'wait');
    const page = await stage.chat();
    await paste(page, long(100_000));
    await untilText(page.locator('.answer .markdown'), 'So');
    await page.keyboard.press('Escape');
    await answered(page);
    await stage.quiet();
    expect(await page.locator('.answer .note').textContent()).toContain('stopped');
  });

  it('that is longer than anything takes says how long is too long, and is not asked again by itself', async () => {
    const visitor = await stage.visitor();
    const page = await visitor.visit();
    await connected(page);
    await paste(page, long(2_000_000));
    await untilText(page.locator('.failure'), 'This is too long: at most 1,024 KB can be sent at once.');
    await page.reload();
    await connected(page);
    await untilText(page.locator('.failure'), 'This is too long');
    // Browsers write each refusal of a server into their console.
    expect(visitor.problems.splice(0)).toEqual([expect.stringContaining('413')]);
    expect(asked()).toEqual([]);
  });
});

describe('who answers', () => {
  it('is chosen by agent and model, and remembered', async () => {
    stage.script(text('Scripted.'), done);
    const page = await stage.chat();
    await send(page, 'Who?');
    await answered(page);
    await choose(page, 'eliza');
    await send(page, 'Hallo');
    await page.locator('.answer').nth(1).locator('.note').waitFor();
    expect(await page.locator('.answer .note').allTextContents()).toEqual([
      expect.stringMatching(/^scripted · /),
      expect.stringMatching(/^eliza · /),
    ]);
    const models = await page
      .locator('#agent optgroup[label="ollama"] option')
      .evaluateAll((options) =>
        options.map((option) => JSON.parse((option as HTMLOptionElement).value).model),
      );
    expect(models).toContain('gemma2:2b');
    await choose(page, 'ollama', 'gemma2:2b');
    await page.reload();
    await connected(page);
    await send(page, 'And now?');
    await untilText(page.locator('.answer .note').nth(2), /^ollama · gemma2:2b · /);
    expect(stage.fake.requests.findLast(({ path }) => path === '/api/chat')?.model).toBe('gemma2:2b');
  });
});

describe('conversations', () => {
  it('are listed, go on while another one is open, and are found under their address', async () => {
    stage.script(text('Slow '), 'wait', text('answer'), done);
    const page = await stage.chat();
    await send(page, 'The first question');
    await untilText(page.locator('.answer .markdown'), 'Slow');
    await page.locator('#new').click();
    stage.script(text('Quick.'), done);
    await send(page, 'The second question');
    await answered(page);
    expect(await page.locator('#list .title').allTextContents()).toEqual([
      'The second question',
      'The first question',
    ]);
    await page.locator('#list .pending').waitFor();
    stage.agent.release();
    await page.locator('#list .pending').waitFor({ state: 'detached' });
    // The latest is the first.
    await page.locator('#list a', { hasText: 'The first question' }).click();
    await untilText(page.locator('.bubble'), 'The first question');
    expect(await answer(page)).toBe('Slow answer');
    expect(await page.title()).toBe('The first question – Waggle');
    await page.goBack();
    await untilText(page.locator('.bubble'), 'The second question');
    await send(page, 'More');
    await page.locator('.answer').nth(1).locator('.note').waitFor();
    expect(stage.agent.requests.at(-1)?.messages.map(({ content }) => content)).toEqual([
      'The second question',
      'Quick.',
      'More',
    ]);
  });

  it('are deleted after a question, with the answer that was on its way', async () => {
    stage.script(text('Slow '), 'wait', done);
    const page = await stage.chat();
    await send(page, 'Forget this');
    await untilText(page.locator('.answer .markdown'), 'Slow');
    const remove = page.getByRole('button', { name: 'Delete “Forget this”' });
    await remove.click();
    await page.locator('#welcome').waitFor();
    expect(await page.locator('#list li').count()).toBe(0);
    await stage.quiet();
    const names = await page.evaluate(() => Object.keys(localStorage));
    expect(names.filter((name) => name.startsWith('waggle:messages:'))).toEqual([]);
    await page.reload();
    await page.locator('#welcome').waitFor();
  });
});

describe('conversations that the server remembers', () => {
  const kept = async (page: Page) => {
    const user = await page.evaluate(() => JSON.parse(localStorage.getItem('waggle:user') ?? '""'));
    const { conversations } = await (await fetch(`${stage.hive.url}/conversations?user_id=${user}`)).json();
    return conversations.map(({ title }: { title: string }) => title);
  };

  it('are there in a browser that has forgotten all but who it is', async () => {
    const page = await stage.chat();
    await send(page, 'Remember me');
    await answered(page);
    await page.evaluate(() => {
      for (const name of Object.keys(localStorage)) if (name !== 'waggle:user') localStorage.removeItem(name);
    });
    await page.reload();
    await untilText(page.locator('#list'), 'Remember me');
    await untilText(page.locator('.bubble'), 'Remember me');
    expect(await answer(page)).toBe('Hello there');
    await page.goto(`${stage.hive.url}/ui#c/unknown`);
    await page.locator('#welcome').waitFor();
    await page.locator('#list a').click();
    expect(await answer(page)).toBe('Hello there');
  });

  it('are deleted there, too, also those whose answer was stopped', async () => {
    const page = await stage.chat();
    await send(page, 'Whole');
    await answered(page);
    expect(await kept(page)).toEqual(['Whole']);
    await page.locator('#new').click();
    stage.script(text('Half'), 'wait', done);
    await send(page, 'Stopped');
    await untilText(page.locator('.answer .markdown'), 'Half');
    await page.keyboard.press('Escape');
    await answered(page);
    const asked: string[] = [];
    page.on('response', (response) => void asked.push(`${response.request().method()} ${response.status()}`));
    for (const title of ['Stopped', 'Whole']) {
      await page.getByRole('button', { name: `Delete “${title}”` }).click();
      await page.getByRole('link', { name: title }).waitFor({ state: 'detached' });
    }
    const deleted = () => asked.filter((each) => each.startsWith('DELETE'));
    await expect.poll(deleted).toEqual(['DELETE 200', 'DELETE 200']);
    expect(await kept(page)).toEqual([]);
  });

  it('give an answer back that can no longer be resumed', async () => {
    stage.script(text('One '), 'wait', text('two'), done);
    const page = await stage.chat();
    await send(page, 'Count');
    await untilText(page.locator('.answer .markdown'), 'One');
    const address = page.url();
    await page.goto('about:blank');
    stage.agent.release();
    await stage.quiet();
    // All replies are forgotten, and the conversation is not.
    await stage.hive.kernel.reload(streamsMemory);
    await page.goto(address);
    await untilText(page.locator('.answer .markdown'), 'One two');
    await answered(page);
    expect(await page.locator('.failure').count()).toBe(0);
  });
});

describe('what a model says', () => {
  it('cannot run, load, style or hide anything', async () => {
    const attacks = [
      '<script>hacked()</script>',
      '<img src=x onerror="hacked()">',
      '<svg onload=hacked()><a xlink:href="javascript:hacked()"><text>x</text></a></svg>',
      '[click](javascript:hacked()) [data](data:text/html,<script>hacked()</script>) [tab](\tjava\nscript:hacked())',
      '![picture](https://evil.example/pixel.png) <iframe src="https://evil.example"></iframe>',
      '<style>body{display:none}</style><link rel=stylesheet href=https://evil.example/x.css>',
      '<form action="https://evil.example"><input name=a><button>Go</button></form>',
      '<a href="https://evil.example" style="position:fixed;inset:0" id="log">over</a>',
      '```html"><img src=x onerror=hacked()>\n<script>hacked()</script>\n```',
      '<math><mtext><table><mglyph><style><img src=x onerror=hacked()>',
      '| <img src=x onerror=hacked()> | a |\n|---|---|\n| <script>hacked()</script> | `<b>` |',
      '<details open ontoggle=hacked()>x</details><base href="https://evil.example/">',
      '# <img src=x onerror=hacked()>\n\n[ref]\n\n[ref]: javascript:hacked()',
      '[call](tel:112) [file](ftp://evil.example) [stop](/stop) [part](#log) [odd](x?https://evil.example)',
      '<kbd class="over">key</kbd> ![quote](<https://evil.example/" class="over>)',
    ];
    const thought = thinking('<img src=x onerror="hacked()">');
    stage.script(thought, ...attacks.flatMap((attack) => [...`${attack}\n\n`].map(text)), done);
    const page = await stage.chat();
    await page.evaluate(() => {
      Object.assign(globalThis, { attacks: 0, hacked: () => Object.assign(globalThis, { attacks: 1 }) });
    });
    await send(page, '<img src=x onerror="hacked()">');
    await answered(page);
    await page.locator('#list a').hover();
    expect(await page.evaluate(() => Reflect.get(globalThis, 'attacks'))).toBe(0);
    const odd =
      'script, img, svg, math, iframe, style, link, base, form, object, embed, [style], [id], [onerror], .over';
    expect(await page.locator('.answer').locator(odd).count()).toBe(0);
    const links = await page
      .locator('.answer a')
      .evaluateAll((all) => all.map((each) => (each as HTMLAnchorElement).href));
    expect(links.filter((href) => !/^https:\/\/evil\.example\//.test(href))).toEqual([]);
    expect(links).toContain('https://evil.example/pixel.png');
    // It is all there to be read.
    const shown = await page.locator('.answer .markdown').textContent();
    for (const part of [
      '<script>hacked()</script>',
      '<iframe',
      '<style>body',
      '<base href',
      '<kbd class="over">',
    ])
      expect(shown).toContain(part);
    expect(await page.locator('.bubble').textContent()).toBe('<img src=x onerror="hacked()">');
  });
});
