import { describe, expect, it } from 'vitest';
import { chartOf, proportionsOf } from '../bench/rig/chart.mjs';
import { readOptions } from '../bench/rig/options.mjs';
import { pageOf } from '../bench/rig/page.mjs';
import { mergedResults } from '../bench/rig/results-file.mjs';
import { cellsOf, gateLine, markdownTable, plainTable } from '../bench/rig/table.mjs';

const one = (median: number) => ({ q1: median, median, q3: median, count: 1 });
const workload = {
  title: 'Paced',
  unit: 'µs',
  reference: 'limit',
  references: ['limit'],
  ours: 'waggle',
  atLeast: false,
  rounds: 5,
  quick: false,
  date: '2026-01-01',
  machine: { cpu: 'A & B', cores: 2, memoryGb: 8, system: 'linux 6 x64', node: 'v20' },
  rows: [
    { name: 'waggle', ours: true, ratio: one(2), metrics: { value: one(10), 'late ms': one(0.12345) } },
    { name: 'limit', ours: false, ratio: one(1), metrics: { value: one(5) } },
    { name: 'ws', ours: false, ratio: one(4), metrics: { value: one(20) }, busy: 2 },
    { name: 'absent', ours: false, metrics: {} },
  ],
  gates: [
    { text: 'at most twice', state: 'holds', used: 1 },
    { text: 'at most once', state: 'fails', used: 2, busy: true },
  ],
  ahead: [],
  skipped: [{ name: 'fastapi', why: 'python modules fastapi' }],
};

describe('the table', () => {
  const cells = cellsOf(workload);

  it('has a line for everyone', () => {
    expect(cells).toEqual([
      ['server', 'µs', 'quartiles', 'ratio to limit', 'more'],
      ['**waggle**', '10', '10 to 10', '2x', 'late ms 0.123'],
      ['limit', '5', '5 to 5', '1x', ''],
      ['ws', '20', '20 to 20', '4x', 'busy rounds 2'],
      ['absent', '–', '–', '–', ''],
    ]);
  });

  it('names the reference of a ratio that is not the common one', () => {
    const [, , limit] = workload.rows;
    expect(cellsOf({ ...workload, rows: [{ ...limit, reference: 'limit, whole' }] })[1][3]).toBe(
      '4x of limit, whole',
    );
  });

  it('can be read in a terminal and on a page', () => {
    expect(plainTable(cells).split('\n')[1]).toMatch(/^waggle {2}10 {2}10 to 10/);
    expect(markdownTable(cells).split('\n').slice(0, 3)).toEqual([
      '| server | µs | quartiles | ratio to limit | more |',
      '|---|--:|--:|--:|---|',
      '| **waggle** | 10 | 10 to 10 | 2x | late ms 0.123 |',
    ]);
  });

  it('says of a gate how much of it is used', () => {
    expect(gateLine(workload.gates[1])).toBe(
      'at most once: fails (200 % of what is allowed), on a busy machine',
    );
    expect(gateLine({ text: 'a', state: 'not measured' })).toBe('a: not measured');
  });
});

describe('the page', () => {
  it('says plainly what does not hold and who is ahead', () => {
    const page = pageOf({ workloads: { W2: { ...workload, ahead: ['ws'] } } }, 'chart.svg');
    expect(page).toContain('Gates that do not hold:\n\n- W2: at most once: fails');
    expect(page).toContain('Peers that are ahead, outside the quartiles:\n\n- W2: ws (against waggle)');
    expect(page).toContain('fastapi was left out');
    const rows = [...workload.rows, { name: 'ws, b', rival: 'waggle, b', ours: false, metrics: {} }];
    expect(
      pageOf({ workloads: { W2: { ...workload, rows, ahead: ['ws', 'ws, b'] } } }, 'chart.svg'),
    ).toContain('- W2: ws (against waggle)\n- W2: ws, b (against waggle, b)');
    expect(page).not.toContain('--quick');
  });

  it('says so when all is well, and when figures are quick ones', () => {
    const gates = workload.gates.slice(0, 1);
    const page = pageOf({ workloads: { W2: { ...workload, gates, quick: true } } }, 'chart.svg');
    expect(page).toContain('Every gate holds.');
    expect(page).toContain('No peer is ahead outside the quartiles.');
    expect(page).toContain('taken with `--quick`');
  });
});

describe('the chart', () => {
  it('shows what others need in proportion to ours', () => {
    expect(proportionsOf(workload)).toEqual([
      { name: 'limit', times: 0.5, isReference: true },
      { name: 'ws', times: 2, isReference: false },
    ]);
    expect(proportionsOf({ ...workload, atLeast: true })[1]).toMatchObject({ name: 'ws', times: 0.5 });
  });

  it('is one picture with a bar for each of them, in light and dark', () => {
    const svg = chartOf({ workloads: { W2: { ...workload, title: 'A & B < C' } } });
    expect(svg.match(/<rect [^>]*class="(more|less|limit)"/g)).toHaveLength(2);
    expect(svg).toContain('A &amp; B &lt; C');
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg).not.toContain('NaN');
  });
});

describe('results', () => {
  it('of a partial run take the place of their own older ones only', () => {
    const old = { workloads: { W3: { title: 'old 3' }, W1: { title: 'old 1' } } };
    expect(
      mergedResults(old, { W1: { title: 'new 1' }, W2: { title: 'new 2' } }, ['W1', 'W2', 'W3']),
    ).toEqual({
      workloads: { W1: { title: 'new 1' }, W2: { title: 'new 2' }, W3: { title: 'old 3' } },
    });
  });
});

describe('the options', () => {
  const known = ['W1', 'W2'];

  it('name workloads in any case; all without a name', () => {
    expect(readOptions([], known)).toEqual({ ids: known, quick: false, strict: false, rounds: 5 });
    expect(readOptions(['w2', '--quick'], known)).toMatchObject({ ids: ['W2'], quick: true, rounds: 1 });
    expect(readOptions(['--rounds', '7', '--strict'], known)).toMatchObject({ strict: true, rounds: 7 });
  });

  it('are refused when they make no sense', () => {
    expect(() => readOptions(['W9'], known)).toThrow('no workload W9');
    expect(() => readOptions(['--rounds', '0'], known)).toThrow('--rounds');
  });
});
