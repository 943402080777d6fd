import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { TaskDefinition, TaskRun } from '#kernel';
import { hashOf } from '#sdk/redis';
import { eventually } from '../support/eventually.js';
import { deferred } from '../support/kernel.js';
import type { RedisServer } from '../support/redis-server.js';
import { only, type RunningServer, startServer } from '../support/server.js';
import { createBullNode } from './bull-node.js';
import { later, redisForEach, startNode } from './node.js';

let server: RedisServer;
redisForEach((each) => {
  server = each;
});

/** A plugin with the task `job`, which takes `ms`. */
const jobPlugin = `
  import { setTimeout as sleep } from 'node:timers/promises';
  export default {
    name: 'jobs',
    apiVersion: 1,
    setup(ctx) {
      ctx.registerTask({ name: 'job', lane: 'main', run: async ({ n, ms }) => (await sleep(ms), n) });
    },
  };`;

const places = 4;

/** A server of its own process that runs \`job\`; \`skewMs\`: how far its clock is wrong. */
async function worker(skewMs = 0): Promise<RunningServer> {
  const redis = { url: server.url };
  const config = {
    plugins: {
      ...only('transport-uws'),
      'cluster-redis': { config: redis },
      'tasks-bullmq': { config: { ...redis, mainConcurrency: places, workers: 0 } },
    },
  };
  const skew = `const { now } = Date; Date.now = () => now() + ${skewMs};`;
  return startServer({
    config,
    alone: true,
    files: { 'extensions/jobs.js': jobPlugin, 'skew.mjs': skew },
    ...(skewMs !== 0 && { env: { NODE_OPTIONS: '--import ./skew.mjs' } }),
  });
}

/** A node that accepts runs and, until it is released, has no place for them. */
async function acceptor() {
  const cluster = await startNode({ config: { url: server.url } });
  const node = createBullNode({ url: server.url, workers: 0, mainConcurrency: 1 }, cluster);
  await node.engine.start();
  later(() => node.engine.close());
  const { promise, resolve } = deferred();
  const task = (name: string, run: unknown) =>
    node.tasks.add({ name, lane: 'main', run } as TaskDefinition, 'test');
  task('busy', () => promise);
  task('job', ({ n }: { n: number }) => `here ${n}`);
  const busy = await node.engine.submit('busy', null);
  later(() => resolve());
  return { ...node, busy, release: () => resolve() };
}

const active = () => server.command<string[]>('LRANGE', '{w:tasks}:main:active', '0', '-1');

it('servers that are killed again and again lose no run: each ends once, as many run twice as were under way', async () => {
  const jobs = 200;
  const kills = 6;
  const { engine, busy } = await acceptor();
  const workers = await Promise.all([worker(), worker(), worker()]);
  later(() => Promise.all(workers.map((each) => each.stop())));
  let ended = 0;
  const runs: TaskRun[] = [];
  const results: Promise<unknown>[] = [];
  for (let n = 0; n < jobs; n++) {
    const run = await engine.submit('job', { n, ms: 100 + ((n * 7919) % 900) });
    runs.push(run);
    results.push(run.result.finally(() => ended++));
  }
  for (let kill = 0; kill < kills; kill++) {
    await eventually(() => expect(ended).toBeGreaterThan(10 * kill));
    const at = kill % workers.length;
    await (workers[at] as RunningServer).stop('SIGKILL');
    workers[at] = await worker();
  }
  const lastKill = performance.now();
  expect(await Promise.all(results)).toEqual(runs.map((_, n) => n));
  expect(performance.now() - lastKill).toBeLessThan(30_000);
  expect(new Set(runs.map(({ state }) => state))).toEqual(new Set(['succeeded']));
  const tries = await Promise.all(
    runs.map(({ id }) => server.command('HGET', `{w:tasks}:main:${hashOf(id)}`, 'ats')),
  );
  const doubles = tries.reduce((sum: number, each) => sum + Number(each), 0) - jobs;
  expect(doubles).toBeLessThanOrEqual(kills * places);
  expect(await active()).toEqual([hashOf(busy.id)]);
  expect(engine.stats).toMatchObject({ succeeded: jobs, waiting: 0, running: 1 });
}, 180_000);

describe('a server whose clock is wrong by an hour', () => {
  it.each([3_600_000, -3_600_000])(
    '(%s ms) loses no run, and a delay is wrong by that',
    async (skewMs) => {
      const { engine, release } = await acceptor();
      const wrong = await worker(skewMs);
      later(() => wrong.stop());
      const runs = await Promise.all(
        Array.from({ length: 20 }, (_, n) => engine.submit('job', { n, ms: 10 })),
      );
      expect(await Promise.all(runs.map(({ result }) => result))).toEqual(runs.map((_, n) => n));
      const delayed = await engine.submit('job', { n: 1, ms: 1 }, { delayMs: skewMs > 0 ? 1_800_000 : 500 });
      if (skewMs < 0) {
        await eventually(async () => {
          const [next] = await server.command<string[]>('ZRANGE', '{w:tasks}:main:delayed', '0', '0');
          expect(next).toBe(hashOf(delayed.id));
          expect(delayed.queuedMs).toBeGreaterThan(1500);
        });
        release();
      }
      expect(await delayed.result).toBe(skewMs > 0 ? 1 : 'here 1');
      release();
      await eventually(async () => expect(await active()).toEqual([]));
    },
    60_000,
  );
});

describe('Redis that is killed for longer than a worker would block', () => {
  it('serves the next job within 10 s after its return, again and again', async () => {
    const { engine, release, bus } = await acceptor();
    release();
    let startedAt = 0;
    bus.on('task:started', () => {
      startedAt = performance.now();
    });
    for (let outage = 0; outage < 3; outage++) {
      const before = await engine.submit('job', { n: outage, ms: 1 }, { delayMs: 1000 });
      await server.signal('SIGKILL');
      await sleep(6000); // the outage itself
      startedAt = 0;
      await server.run();
      const backAt = performance.now();
      expect(await before.result).toBe(`here ${outage}`);
      expect(startedAt - backAt).toBeLessThan(10_000);
      expect(await (await engine.submit('job', { n: 100, ms: 1 })).result).toBe('here 100');
    }
    expect(await active()).toEqual([]);
  }, 120_000);
});
