import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../plugins/endpoint-metrics/metrics.js';

describe('gauges', () => {
  it('show what there is now, and nothing that has gone', async () => {
    const metrics = new Metrics((error) => expect.unreachable(String(error)));
    let there = ['a', 'b'];
    metrics.gauges('rooms', 'Rooms', ['name'], () => there.map((name) => [{ name }, 1] as const));
    expect(await metrics.text()).toMatch(/rooms\{name="a"\} 1\nrooms\{name="b"\} 1\n/);
    there = ['b'];
    expect(await metrics.text()).not.toContain('"a"');
  });
});

describe('a figure that cannot be read', () => {
  const broken = () => {
    throw new Error('EMFILE');
  };
  it.each([
    ['a gauge that throws', (metrics: Metrics) => metrics.gauge('broken', 'Broken', broken)],
    ['a total that throws', (metrics: Metrics) => metrics.total('broken', 'Broken', broken)],
    ['gauges that throw', (metrics: Metrics) => metrics.gauges('broken', 'Broken', ['name'], broken)],
    ['a total below 0', (metrics: Metrics) => metrics.total('broken', 'Broken', () => -1)],
    [
      'a gauge that is no number',
      (metrics: Metrics) => metrics.gauge('broken', 'Broken', () => 'x' as never),
    ],
  ])('%s is named, and the others are there', async (_, add) => {
    const failed: string[] = [];
    const metrics = new Metrics((_error, metric) => void failed.push(metric));
    add(metrics);
    metrics.gauge('whole', 'Whole', () => 7);
    expect(await metrics.text()).toMatch(/^whole 7$/m);
    expect(failed).toEqual(['broken']);
  });
});
