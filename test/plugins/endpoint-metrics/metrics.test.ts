import { describe, expect, it } from 'vitest';
import { merged } from '../../../plugins/endpoint-metrics/merged.js';
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

describe('the metrics of several processes', () => {
  const textOf = (shard: string, add: (metrics: Metrics) => void) => {
    const metrics = new Metrics((error) => expect.unreachable(String(error)), { shard });
    add(metrics);
    return metrics.text();
  };

  it('are each there once, with the series of all, and say which process is left out', async () => {
    const body = await Promise.all(
      ['0', '1'].map((shard) =>
        textOf(shard, (metrics) => {
          metrics.gauge('rooms', 'Rooms', () => 3);
          metrics.seconds('wait', 'Waits', [1]).observe(0.5);
          metrics.counter('calls', 'Calls', 'code').inc({ code: '# HELP "x"' });
          if (shard === '1') metrics.gauge('own', 'Of this one', () => 1);
        }),
      ),
    );
    const text = merged([{ shard: 0, body: body[0] }, { shard: 1, body: body[1] }, { shard: 2 }]);
    for (const name of ['rooms', 'wait', 'calls', 'own', 'waggle_shard_up'])
      expect(text.match(new RegExp(`^# TYPE ${name} `, 'gm'))).toHaveLength(1);
    expect(text).toContain('rooms{shard="0"} 3\nrooms{shard="1"} 3\n');
    for (const shard of ['0', '1']) expect(text).toContain(`wait_bucket{le="1",shard="${shard}"} 1`);
    expect(text.match(/^calls\{code="# HELP \\"x\\"",shard="[01]"\} 1$/gm)).toHaveLength(2);
    expect(text).toContain('own{shard="1"} 1\n');
    expect(text).toContain(
      'waggle_shard_up{shard="0"} 1\nwaggle_shard_up{shard="1"} 1\nwaggle_shard_up{shard="2"} 0\n',
    );
    expect(text.endsWith('\n')).toBe(true);
  });
});
