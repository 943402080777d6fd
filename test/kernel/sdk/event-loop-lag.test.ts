import { expect, it } from 'vitest';
import { EventLoopLag } from '#sdk';
import { eventually } from '../../support/eventually.js';

it('is how long the event loop was held up, until it is reset', async () => {
  const eventLoop = new EventLoopLag();
  const stop = eventLoop.start();
  // It measures from one look at the clock to the next, so it takes more than one.
  await eventually(() => {
    const untilMs = performance.now() + 150;
    while (performance.now() < untilMs);
    expect(eventLoop.lag.maxMs).toBeGreaterThan(100);
  });
  const { p50Ms, p90Ms, p99Ms, meanMs, maxMs } = eventLoop.lag;
  const rising = [p50Ms, p90Ms, p99Ms, maxMs];
  expect(rising).toEqual(rising.toSorted((a, b) => a - b));
  expect(meanMs).toBeLessThanOrEqual(maxMs);
  eventLoop.reset();
  expect(eventLoop.lag).toEqual({ p50Ms: 0, p90Ms: 0, p99Ms: 0, meanMs: 0, maxMs: 0 });
  void stop();
});
