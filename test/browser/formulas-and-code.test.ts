import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { done, text } from '../support/agents.js';
import { faults } from './faults.js';
import { answer, answered, Stage, send } from './stage.js';

const stage = new Stage();

/** The page with this answer. */
async function said(source: string, page?: Page): Promise<Page> {
  stage.script(...[...source].map(text), done);
  const at = page ?? (await stage.chat());
  await send(at, 'Say it');
  await answered(at);
  return at;
}

/** The names of libraries that a page has loaded. */
function libraries(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .map(({ name }) => /\/library\/(\w+)/.exec(name)?.[1] ?? '')
      .filter(Boolean)
      .sort(),
  );
}

const newest = (page: Page) => page.locator('.answer').last();

/** The formulas that the newest answer shows, in TeX. */
const formulas = (page: Page) => newest(page).locator('math annotation').allTextContents();

/** Each row is an answer of one conversation: a page of its own for each would take most of the time. */
async function inTurn<Row extends readonly [source: string, ...unknown[]]>(
  rows: readonly Row[],
  look: (page: Page, ...row: Row) => Promise<void>,
): Promise<Page> {
  const page = await stage.chat();
  for (const row of rows) {
    await said(row[0], page);
    await look(page, ...row);
  }
  return page;
}

describe('formulas', () => {
  it('are shown', async () => {
    const rows: [string, string[]][] = [
      ['$x^2$', ['x^2']],
      ['Let $a_1 * b$ and $c * d_2$ be *it*.', ['a_1 * b', 'c * d_2']],
      ['$$\n\\int_0^1 x\n- y\n= z\n$$', ['\\int_0^1 x\n- y\n= z']],
      ['In a line $$E = mc^2$$ too', ['E = mc^2']],
      ['As \\(a \\cdot b\\) or\n\\[\n\\frac{1}{2}\n\\]\nis', ['a \\cdot b', '\\frac{1}{2}']],
      ['- the $n$th\n- \\[x\\gt 1\\]\n\n> $q$', ['n', 'x\\gt 1', 'q']],
      ['| $a$ | b |\n|---|---|\n| 1 | \\(c\\) |', ['a', 'c']],
      ['**$b$** and $\\$5 + 1$', ['b', '\\$5 + 1']],
      ['价格是$x$元', ['x']],
      [
        '$\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}$',
        ['\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}'],
      ],
    ];
    const page = await inTurn(rows, async (at, _, wanted) => {
      const shown = newest(at).locator('math');
      await shown.nth(wanted.length - 1).waitFor();
      expect(await formulas(at)).toEqual(wanted);
      expect(await shown.first().evaluate((math) => math.namespaceURI)).toContain('MathML');
      for (const each of await shown.all()) {
        const { width, height } = (await each.boundingBox()) ?? { width: 0, height: 0 };
        expect(Math.min(width, height)).toBeGreaterThan(3);
      }
    });
    const all = rows.flatMap(([, wanted]) => wanted);
    await page.reload();
    await page
      .locator('.markdown math')
      .nth(all.length - 1)
      .waitFor();
    expect(await page.locator('.markdown math annotation').allTextContents()).toEqual(all);
  });

  it('are not what only looks so', async () => {
    const rows: [string, string][] = [
      ['It costs $5 and $10.', 'It costs $5 and $10.'],
      ['It costs $5, or 6$ there.', 'It costs $5, or 6$ there.'],
      ['**$5** to **$10**', '$5 to $10'],
      ['US$5, CA$6 and $7-$8/day', 'US$5, CA$6 and $7-$8/day'],
      ['5$ or 6$', '5$ or 6$'],
      ['$$ to $$$', '$$ to $$$'],
      ['$HOME/bin:$PATH', '$HOME/bin:$PATH'],
      ['`$x$` and `\\(y\\)`', '$x$ and \\(y\\)'],
      ['\\$x\\$', '$x$'],
      ['see \\[1\\] and \\[ \\] and \\[a\\](b)', 'see [1] and [ ] and [a](b)'],
      ['$x\n\ny$', '$x\ny$'],
      ['$ x $', '$ x $'],
    ];
    const page = await inTurn(rows, async (at, _, shown) => expect(await answer(at)).toBe(shown));
    expect(await libraries(page)).not.toContain('katex');
  });

  it('in code are code', async () => {
    const source = '$$\na\n$$\n\\[b\\]\n';
    const page = await said(`\`\`\`\n${source}\`\`\`\n\n    $$c$$\n`);
    expect(await page.locator('.code pre').allTextContents()).toEqual([source, '$$c$$\n']);
    expect(await page.locator('.formula').count()).toBe(0);
  });

  it('show their source where they are broken or ask for too much', async () => {
    const sources = [
      '$\\frac{1}{$',
      '$\\unknown$',
      '$$\\begin{matrix} a$$',
      '\\(a^b^c\\)',
      '$\\def\\a{\\a\\a}\\a$',
      `$${'{'.repeat(60)}x${'}'.repeat(60)}$`,
      '$\\href{javascript:hacked()}{x}$',
      '$\\includegraphics{https://evil.example/x.png}$',
      '$\\htmlStyle{position:fixed}{x}$',
    ];
    const rows = sources.map((source) => [`${source} and $x$`, source] as [string, string]);
    await inTurn(rows, async (page, _, source) => {
      await newest(page).locator('math').waitFor();
      expect(await formulas(page)).toEqual(['x']);
      expect(await newest(page).locator('.formula').first().textContent()).toBe(source);
    });
  });

  it('have neither styles nor colours nor links, and stay where they are', async () => {
    const page = await said(
      [
        '$\\color{red}{x}\\colorbox{red}{y}$',
        '$\\boxed{x} \\cancel{y}$',
        '$\\raisebox{900em}{x}\\rule{900em}{900em}\\hspace{-900em}y$',
        '$$\\begin{array}{c|c} a & b \\\\ \\hline c & d \\end{array}\\tag{1}$$',
        '$\\text{<img src=x onerror=hacked()>}$',
      ].join('\n\n'),
    );
    await page.locator('.markdown math').nth(4).waitFor();
    const odd = '[style], [mathcolor], [mathbackground], [href], [onerror], .markdown img';
    expect(await page.locator('.answer').locator(odd).count()).toBe(0);
    const [wide, seen] = await page.locator('#log').evaluate((log) => [log.scrollWidth, log.clientWidth]);
    expect(wide).toBe(seen);
  });

  it('come while the answer comes, and without their library stay their source', async () => {
    stage.script(text('So $x$ and '), 'wait', text('$y$.'), 'wait', done);
    const page = await stage.chat();
    await send(page, 'Say it');
    await page.locator('.markdown math').waitFor();
    stage.agent.release();
    await page.locator('.markdown math').nth(1).waitFor();
    stage.agent.release();
    await answered(page);
    await page.route('**/library/katex*', (route) =>
      route.fulfill({ contentType: 'text/javascript', body: 'throw new Error("broken")' }),
    );
    await page.reload();
    await answered(page);
    expect(await answer(page)).toBe('So $x$ and $y$.');
  });
});

describe('a tilde', () => {
  it('strikes nothing through, two of them do', async () => {
    const rows: [string, string, string[]][] = [
      ['5~10 and 20~30', '5~10 and 20~30', []],
      ['~1 and ~2', '~1 and ~2', []],
      ['a ~b~ c', 'a ~b~ c', []],
      ['~/a and ~/b', '~/a and ~/b', []],
      ['a ~~b~~ c', 'a b c', ['b']],
      ['~~5~10~~', '5~10', ['5~10']],
    ];
    await inTurn(rows, async (page, _, shown, struck) => {
      expect(await answer(page)).toBe(shown);
      expect(await newest(page).locator('del').allTextContents()).toEqual(struck);
    });
  });
});

describe('code', () => {
  it('is coloured by its language, and is what it was', async () => {
    const rows: [string, string][] = [
      ['js', 'const a = "b"; // c'],
      ['TypeScript', 'let x: number = 1;'],
      ['python', 'def f():\n    return "x"  # y'],
      ['c++', 'int main() { return 0; }'],
      ['json', '{"a": [1, true, "<b>&amp;"]}'],
      ['bash', 'echo "$HOME" # x'],
      ['html', '<img src=x onerror="hacked()"><script>hacked()</script>'],
      ['diff', '- a\n+ b'],
    ];
    const answers = rows.map(
      ([name, source]) => [`\`\`\`${name}\n${source}\n\`\`\`\n`, source] as [string, string],
    );
    const page = await inTurn(answers, async (at, _, source) => {
      await newest(at).locator('.code code span').first().waitFor();
      expect(await newest(at).locator('.code pre').textContent()).toBe(`${source}\n`);
    });
    expect(await page.locator('.code [style], .code img, .code script').count()).toBe(0);
    await page.reload();
    await newest(page).locator('.code code span').first().waitFor();
  });

  it.each([
    ['of no language', '```\nlet a;\n```'],
    ['of an unknown language', '```klingon\nlet a;\n```'],
    ['that is very long', `\`\`\`js\n${'let a;\n'.repeat(5000)}\`\`\``],
  ])('%s stays plain', async (_, source) => {
    stage.script(text(`${source}\n\n\`\`\`js\nlet last;\n\`\`\`\n`), done);
    const page = await stage.chat();
    await send(page, 'Say it');
    await answered(page);
    await page.locator('.code').nth(1).locator('span.hljs-keyword').waitFor();
    expect(await page.locator('.code').first().locator('code span').count()).toBe(0);
  });

  it.each(['light', 'dark'] as const)('and formulas can be read in %s colours', async (colorScheme) => {
    const page = await stage.chat({ colorScheme });
    await said(
      [
        '```js\n// note\nclass A extends B { x = 1; f() { return `a${/b/}` + "c" + null; } }\n```',
        '```html\n<!-- c --><p class="a">&amp;</p>\n```',
        '```css\n@media (x) { .a:hover { color: #fff !important } }\n```',
        '```diff\n- a\n+ b\n@@ 1 @@\n```',
        '```python\n@a\ndef f(x: int) -> None:\n  """doc"""\n  print(f"{x}")\n```',
        '```markdown\n# t\n**b** *c* [d](e)\n> q\n```',
        '$\\frac{a}{b}$ and $$\\sqrt{x}$$ and $\\broken$',
      ].join('\n\n'),
      page,
    );
    await page.locator('.code').nth(5).locator('span[class]').first().waitFor();
    await page.locator('.markdown math').nth(1).waitFor();
    expect(await faults(page)).toEqual([]);
  });
});

describe('the libraries for them', () => {
  it('are loaded when the first of them is shown, and not before', async () => {
    const page = await said('Only **words** and `code`.');
    const always = ['hooks', 'htm', 'marked', 'preact', 'purify', 'signals', 'signals'];
    expect(await libraries(page)).toEqual(always);
    await said('```js\nlet a;\n```', page);
    await page.locator('.code code span').first().waitFor();
    expect(await libraries(page)).toEqual([...always, 'highlight'].sort());
    await said('$x$', page);
    await page.locator('.markdown math').waitFor();
    expect(await libraries(page)).toEqual([...always, 'highlight', 'katex'].sort());
  });
});
