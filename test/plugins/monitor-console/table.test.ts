import { describe, expect, it } from 'vitest';
import type { Stats } from '../../../plugins/monitor-console/docs.js';
import { tableOf } from '../../../plugins/monitor-console/table.js';

const stats: Stats = {
  uptimeMs: 93_784_000,
  connections: { open: 998, limit: 1000 },
  streams: { running: 12, waiting: 3, kept: 456, readers: 20, tokensPerSecond: 12_345.6 },
  tasks: {
    running: 4,
    waiting: 345,
    queued: { low: 1, normal: 333, high: 10, urgent: 0 },
    failed: 3,
    rejected: 1_234_567,
    perSecond: 817.3,
  },
  workers: { alive: 4, busy: 4, lost: 1 },
  eventLoop: { p50Ms: 0.1, p99Ms: 4.6, maxMs: 1234.5 },
  memory: { rssMb: 123.4, heapMb: 45 },
};

/** The lines of a text that begins on a line of its own. */
const linesOf = (text: string) => text.split('\n').slice(1, -1);

describe('the table', () => {
  it('is aligned at 80 columns', () => {
    expect(tableOf(stats, 80)).toEqual(
      linesOf(`
── waggle ── up 1d 2:03:04 ─────────────────────────────────────────────────────
connections  open        998  limit      1000
streams      running      12  waiting       3  kept        456  readers      20
tasks        running       4  waiting     345  failed        3  rejected   1.2M
queue        urgent        0  high         10  normal      333  low           1
workers      alive         4  busy          4  lost          1
per second   tokens    12346  tasks     817.3
loop lag ms  p50         0.1  p99         4.6  max      1234.5
memory MB    rss       123.4  heap       45.0
`),
    );
  });

  it('takes more lines at 50 columns', () => {
    expect(tableOf(stats, 50)).toEqual(
      linesOf(`
── waggle ── up 1d 2:03:04 ───────────────────────
connections  open          998  limit        1000
streams      running        12  waiting         3
             kept          456  readers        20
tasks        running         4  waiting       345
             failed          3  rejected     1.2M
queue        urgent          0  high           10
             normal        333  low             1
workers      alive           4  busy            4
             lost            1
per second   tokens      12346  tasks       817.3
loop lag ms  p50           0.1  p99           4.6
             max        1234.5
memory MB    rss         123.4  heap         45.0
`),
    );
  });

  it.each([1, 20, 28, 49, 80, 81, 200])('is nowhere wider than %i columns', (width) => {
    const lengths = tableOf(stats, width).map((line) => line.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(width);
    expect(tableOf(stats, width)[0]).toHaveLength(width);
  });

  it('has no line for what has no source', () => {
    const { uptimeMs, eventLoop, memory } = stats;
    expect(tableOf({ uptimeMs: 61_000, eventLoop, memory }, 80)).toEqual(
      linesOf(`
── waggle ── up 0:01:01 ────────────────────────────────────────────────────────
loop lag ms  p50         0.1  p99         4.6  max      1234.5
memory MB    rss       123.4  heap       45.0
`),
    );
    const { streams } = stats as Required<Stats>;
    const some = tableOf({ uptimeMs, streams, eventLoop, memory }, 80);
    expect(some.map((line) => line.slice(0, 11).trimEnd())).toEqual([
      '── waggle ─',
      'streams',
      'per second',
      'loop lag ms',
      'memory MB',
    ]);
    expect(some[2]).toBe('per second   tokens    12346');
  });

  it.each([
    [0, '0'],
    [9999, '9999'],
    [10_000, '10000'],
    [999_999, '999999'],
    [1_000_000, '1.0M'],
    [987_654_321, '987.7M'],
    [9_876_543_210, '9.9G'],
  ])('writes %i as %s', (open, text) => {
    expect(tableOf({ ...stats, connections: { open, limit: 1 } }, 80)[1]).toContain(` ${text}  limit`);
  });
});
