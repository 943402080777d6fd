import { describe, expect, it } from 'vitest';
import { Sampler, type Sources } from '../../../plugins/monitor-console/stats.js';
import { figures, streamFigures } from './figures.js';

const none = { p50Ms: 0, p90Ms: 0, p99Ms: 0, meanMs: 0, maxMs: 0 };

function sampling(sources: Sources) {
  const clock = { nowMs: 1000 };
  const eventLoop = {
    lag: none,
    resets: 0,
    reset: () => void eventLoop.resets++,
  };
  const sampler = new Sampler(sources, eventLoop, () => clock.nowMs);
  return { sampler, clock, eventLoop };
}

describe('the stats', () => {
  it('are what the sources say at this moment', () => {
    const transport = { connections: { open: 3, limit: 1000 } };
    const streams = { stats: streamFigures({ running: 1, waiting: 2, kept: 3, readers: 4 }) };
    const tasks = {
      stats: figures({
        running: 5,
        waiting: 10,
        queued: { low: 1, normal: 2, high: 3, urgent: 4 },
        failed: 6,
        rejected: 7,
        workers: { alive: 4, busy: 3, lost: 2 },
      }),
    };
    const { sampler, clock } = sampling({ transport, streams, tasks });
    clock.nowMs += 1500;
    expect(sampler.stats).toEqual({
      uptimeMs: 1500,
      connections: { open: 3, limit: 1000 },
      streams: { running: 1, waiting: 2, kept: 3, readers: 4, tokensPerSecond: 0 },
      tasks: {
        running: 5,
        waiting: 10,
        queued: { low: 1, normal: 2, high: 3, urgent: 4 },
        failed: 6,
        rejected: 7,
        perSecond: 0,
      },
      workers: { alive: 4, busy: 3, lost: 2 },
      eventLoop: { p50Ms: 0, p99Ms: 0, maxMs: 0 },
      memory: { rssMb: expect.any(Number), heapMb: expect.any(Number) },
    });
    transport.connections = { open: 4, limit: 1000 };
    expect(sampler.stats.connections?.open).toBe(4);
  });

  it.each(['transport', 'streams', 'tasks'] as const)('leave out what has no source: %s', (absent) => {
    const all = {
      transport: { connections: { open: 0, limit: 1 } },
      streams: { stats: streamFigures() },
      tasks: { stats: figures() },
    };
    const { [absent]: _, ...sources } = all;
    const keys = { transport: ['connections'], streams: ['streams'], tasks: ['tasks', 'workers'] };
    const expected = Object.entries(keys).flatMap(([name, list]) => (name === absent ? [] : list));
    expect(Object.keys(sampling(sources).sampler.sample())).toEqual([
      'uptimeMs',
      ...expected,
      'eventLoop',
      'memory',
    ]);
  });

  it('have memory in units of 1024 × 1024 bytes', () => {
    const { rssMb, heapMb } = sampling({}).sampler.stats.memory;
    const rss = process.memoryUsage.rss() / 1024 / 1024;
    expect(rssMb).toBeGreaterThan(rss / 2);
    expect(rssMb).toBeLessThan(rss * 2);
    expect(heapMb).toBeGreaterThan(0);
    expect(heapMb).toBeLessThan(rssMb);
  });
});

describe('rates', () => {
  const busy = () => {
    const streams = { stats: streamFigures({ tokens: 100 }) };
    const tasks = { stats: figures({ succeeded: 1000, failed: 1, cancelled: 1, rejected: 1 }) };
    const work = (tokens: number, ended: number) => {
      streams.stats = streamFigures({ tokens: streams.stats.tokens + tokens });
      const { succeeded, failed, cancelled } = tasks.stats;
      const third = ended / 3;
      tasks.stats = figures({
        succeeded: succeeded + third,
        failed: failed + third,
        cancelled: cancelled + third,
        rejected: 500,
      });
    };
    return { ...sampling({ streams, tasks }), work };
  };
  const ratesOf = ({ sampler }: ReturnType<typeof busy>, stats = sampler.stats) => [
    stats.streams?.tokensPerSecond,
    stats.tasks?.perSecond,
  ];

  it('are those between the two newest samples, until there is another one', () => {
    const subject = busy();
    const { sampler, clock, work } = subject;
    clock.nowMs += 2000;
    work(100, 30);
    expect(ratesOf(subject, sampler.sample())).toEqual([50, 15]);
    clock.nowMs += 4000;
    work(1, 3);
    expect(ratesOf(subject)).toEqual([50, 15]);
    expect(ratesOf(subject, sampler.sample())).toEqual([0.3, 0.8]);
    clock.nowMs += 4000;
    expect(ratesOf(subject, sampler.sample())).toEqual([0, 0]);
  });

  it('are those since the start as long as no interval is over', () => {
    const subject = busy();
    expect(ratesOf(subject)).toEqual([0, 0]);
    subject.clock.nowMs += 500;
    subject.work(20, 3);
    expect(ratesOf(subject)).toEqual([40, 6]);
  });

  it('include how late the event loop was, of which each sample begins a new account', () => {
    const { sampler, eventLoop } = sampling({});
    eventLoop.lag = { ...none, p50Ms: 0.123, p99Ms: 4.567, maxMs: 89 };
    expect(sampler.stats.eventLoop).toEqual({ p50Ms: 0.1, p99Ms: 4.6, maxMs: 89 });
    expect(eventLoop.resets).toBe(0);
    sampler.sample();
    expect(eventLoop.resets).toBe(1);
    eventLoop.lag = none;
    expect(sampler.stats.eventLoop).toEqual({ p50Ms: 0.1, p99Ms: 4.6, maxMs: 89 });
    expect(sampler.sample().eventLoop).toEqual({ p50Ms: 0, p99Ms: 0, maxMs: 0 });
  });
});
