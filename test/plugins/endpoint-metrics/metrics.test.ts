import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../plugins/endpoint-metrics/metrics.js';

describe('gauges', () => {
  it('show what there is now, and nothing that has gone', async () => {
    const metrics = new Metrics();
    let there = ['a', 'b'];
    metrics.gauges('rooms', 'Rooms', ['name'], () => there.map((name) => [{ name }, 1] as const));
    expect(await metrics.text()).toMatch(/rooms\{name="a"\} 1\nrooms\{name="b"\} 1\n/);
    there = ['b'];
    expect(await metrics.text()).not.toContain('"a"');
  });
});
