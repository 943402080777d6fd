import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { TaskDefinition, TaskRun } from '#kernel';
import { hashOf } from '#sdk/redis';
import { eventually } from '../support/eventually.js';
import { deferred } from '../support/kernel.js';
import type { RedisServer } from '../support/redis-server.js';
import { only, type RunningServer, startServer } from '../support/server.js';
import { figures, soak } from '../support/soak.js';
import { wrongClock } from '../support/wrong-clock.js';
import { createBullNode } from './bull-node.js';
import { later, proxyOf, redisForEach, replicaOf, startNode } from './node.js';

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
  const { env, files } = wrongClock(skewMs);
  return startServer({ config, env, files: { 'extensions/jobs.js': jobPlugin, ...files }, alone: true });
}

/** A node that accepts runs and, until it is released, has no place for them. */
async function acceptor(url = server.url) {
  const cluster = await startNode({ config: { url } });
  const node = createBullNode({ url, workers: 0, mainConcurrency: 1, timeoutMs: 3_600_000 }, cluster);
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

describe.each(soak([0], [0, 3_600_000, -3_600_000]))(
  'servers, the first with a clock that is %s ms wrong,',
  (skewMs) => {
    const [jobs, kills] = skewMs === 0 ? soak([200, 6], [1000, 50]) : [200, 10];
    it(
      'that are killed again and again lose no run: each ends once, as many run twice as were under way',
      async () => {
        const { engine, busy } = await acceptor();
        const start = (at: number) => worker(at === 0 ? skewMs : 0);
        const workers = await Promise.all([0, 1, 2].map(start));
        later(() => Promise.all(workers.map((each) => each.stop())));
        const runs: TaskRun[] = [];
        const results: Promise<unknown>[] = [];
        for (let kill = 0; kill < kills; kill++) {
          for (let n = runs.length; n < ((kill + 1) * jobs) / kills; n++) {
            const run = await engine.submit('job', { n, ms: 100 + ((n * 7919) % 900) });
            runs.push(run);
            results.push(run.result);
            run.result.catch(() => {}); // looked at below
          }
          // More than the one that keeps this node busy.
          await eventually(async () => expect((await active()).length).toBeGreaterThan(2));
          const at = kill % workers.length;
          await (workers[at] as RunningServer).stop('SIGKILL');
          workers[at] = await start(at);
        }
        const lastKill = performance.now();
        const settled = await Promise.allSettled(results);
        const afterMs = performance.now() - lastKill;
        // One in a thousand is under way in four servers that are killed: it counts as what has killed them.
        const crashed = settled.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
        expect(crashed.length).toBeLessThanOrEqual(kills / 10);
        for (const { reason } of crashed) expect(reason).toMatchObject({ code: 'TASK_CRASHED' });
        for (const [n, each] of settled.entries())
          if (each.status === 'fulfilled') expect(each.value).toBe(n);
        expect(afterMs).toBeLessThan(30_000);
        const tries = await Promise.all(
          runs.map(({ id }) => server.command('HGET', `{w:tasks}:main:${hashOf(id)}`, 'ats')),
        );
        // A server whose clock is ahead has removed what has ended, as if its time were over.
        const known = tries.filter((each) => each !== null);
        const doubles = known.reduce((sum: number, each) => sum + Number(each), 0) - known.length;
        expect(doubles).toBeLessThanOrEqual(kills * places);
        expect(await active()).toEqual([hashOf(busy.id)]);
        const succeeded = jobs - crashed.length;
        expect(engine.stats).toMatchObject({ succeeded, failed: crashed.length, waiting: 0, running: 1 });
        figures('fault 4', {
          jobs,
          kills,
          skewMs,
          doubles,
          crashed: crashed.length,
          afterLastKillMs: afterMs,
        });
      },
      soak(180_000, 1_200_000),
    );
  },
);

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

describe.each(soak([6000], [10_000, 60_000]))(
  'Redis that is away for %s ms, longer than a worker would block,',
  (awayMs) => {
    const outages = soak(3, 5);
    it(
      'serves the next job within 10 s after its return, again and again',
      async () => {
        const { engine, release, bus } = await acceptor();
        release();
        let startedAt = 0;
        bus.on('task:started', () => {
          startedAt = performance.now();
        });
        let longestMs = 0;
        for (let outage = 0; outage < outages; outage++) {
          const before = await engine.submit('job', { n: outage, ms: 1 }, { delayMs: 1000 });
          await server.signal('SIGKILL');
          await sleep(awayMs); // the outage itself
          startedAt = 0;
          await server.run();
          const backAt = performance.now();
          expect(await before.result).toBe(`here ${outage}`);
          longestMs = Math.max(longestMs, startedAt - backAt);
          expect(await (await engine.submit('job', { n: 100, ms: 1 })).result).toBe('here 100');
        }
        expect(longestMs).toBeLessThan(10_000);
        expect(await active()).toEqual([]);
        figures('fault 16', { outages, awayMs, longestMs });
      },
      soak(120_000, 900_000),
    );
  },
);

describe('Redis that is replaced by its copy, which is half a second behind,', () => {
  it(
    'has all accepted runs again, and each ends once',
    async () => {
      const jobs = soak(50, 500);
      const { takeOver } = await replicaOf(server);
      const address = await proxyOf(server);
      const { engine, release, busy, bus } = await acceptor(`redis://127.0.0.1:${address.port}`);
      let ended = 0;
      bus.on('task:succeeded', () => void ended++);
      const runs = await Promise.all(
        Array.from({ length: jobs }, (_, n) => engine.submit('job', { n, ms: 1 })),
      );
      await takeOver([address]);
      const from = performance.now();
      release();
      await busy.result;
      expect(await Promise.all(runs.map(({ result }) => result))).toEqual(runs.map((_, n) => `here ${n}`));
      expect(ended).toBe(jobs + 1);
      figures('fault 14, tasks', { jobs, endedMs: performance.now() - from });
    },
    soak(120_000, 300_000),
  );
});
