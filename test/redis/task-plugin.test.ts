import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import clusterRedis from '../../plugins/cluster-redis/index.js';
import tasksBullmq from '../../plugins/tasks-bullmq/index.js';
import { loadBull } from '../../plugins/tasks-bullmq/library.js';
import { eventually } from '../support/eventually.js';
import { rejection, startKernel } from '../support/kernel.js';
import { type LeakCheck, leakCheck } from '../support/leaks.js';
import { example, pageText } from '../support/pages.js';
import { Scrape } from '../support/prometheus.js';
import { RedisServer } from '../support/redis-server.js';
import { type RunningServer, startServer } from '../support/server.js';
import { createBullNode } from './bull-node.js';
import { endAll, later, startNode } from './node.js';

let leaks: LeakCheck;
let server: RedisServer;

beforeEach(async () => {
  leaks = leakCheck();
  server = await RedisServer.start();
});
afterEach(async () => {
  await endAll();
  await server.stop();
  await leaks.settled();
});

const files = {
  'extensions/text-count/index.js': example('extensions/text-count/index.js'),
  'extensions/text-count/count.task.js': example('extensions/text-count/count.task.js'),
};

async function start(): Promise<RunningServer> {
  const running = await startServer({
    ...{ config: example('tasks-together.yaml'), files },
    env: { REDIS_URL: server.url },
  });
  later(() => running.stop());
  return running;
}

describe('servers as the page sets them up', () => {
  it('run tasks, show them on each other, and their figures to Prometheus', async () => {
    const [a, b] = [await start(), await start()];
    const asked = await fetch(`${a.url}/tasks/text:count?wait=20000`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: { text: 'to be or not' } }),
    });
    const answer = (await asked.json()) as { readonly taskId: string };
    expect(answer).toMatchObject({ state: 'succeeded', output: 4 });
    const elsewhere = await fetch(`${b.url}/tasks/${answer.taskId}`);
    expect(await elsewhere.json()).toMatchObject({ state: 'succeeded', output: 4 });
    const [scrape, other] = [await Scrape.of(a.url), await Scrape.of(b.url)];
    expect(scrape.value('waggle_tasks_stalled_total')).toBe(0);
    // That other server was asked for it.
    expect(other.value('waggle_engine_commands_total', { service: 'tasks' })).toBeGreaterThan(0);
    // Names of keys are seen by many, and an id gives access.
    const [id = ''] = answer.taskId.split('.');
    expect(id).toMatch(/^[\w-]{24}$/);
    expect(JSON.stringify(await server.command('KEYS', '*'))).not.toContain(id);
  });

  it('give those that wait to the next one when one stops, and lose none', async () => {
    const a = await start();
    const submit = async () => {
      const answer = await fetch(`${a.url}/tasks/text:count`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ input: { text: 'a b' }, delay_ms: 3000 }),
      });
      return ((await answer.json()) as { readonly taskId: string }).taskId;
    };
    const id = await submit();
    expect(await a.stop()).toBe(0);
    const b = await start();
    await eventually(async () =>
      expect(await (await fetch(`${b.url}/tasks/${id}`)).json()).toMatchObject({
        state: 'succeeded',
        output: 2,
      }),
    );
  });
});

describe('the plugin', () => {
  it('needs no more of Redis than the rule for its users gives', async () => {
    const [rule = ''] = /^ACL SETUSER .*$/m.exec(pageText('plugins/cluster-redis/README.md')) ?? [];
    await server.command(...rule.split(' '));
    const redis = { url: server.url, username: 'waggle', password: 'secret' };
    const { engine, tasks } = createBullNode({ ...redis, ageEvery: 2 }, await startNode({ config: redis }));
    later(() => engine.close());
    tasks.add({ name: 'n', lane: 'main', run: async (n) => n }, 'test');
    const key = { owner: 'ann', idempotencyKey: 'k' };
    expect(await (await engine.submit('n', 1, key)).result).toBe(1);
    expect(await (await engine.submit('n', 2)).result).toBe(2);
    expect(await (await engine.submit('n', 2, { delayMs: 60_000 })).cancel()).toBe(true);
    expect(await engine.deadLetters()).toEqual([]);
  });

  it('says which package is missing, and how it is installed', async () => {
    const missing = Object.assign(new Error('no'), { code: 'ERR_MODULE_NOT_FOUND' });
    const error = await rejection(loadBull(() => Promise.reject(missing)));
    expect(error).toMatchObject({
      code: 'ENGINE_UNUSABLE',
      message: expect.stringContaining('npm install --ignore-scripts bullmq@6.7.0'),
    });
    const broken = await rejection(loadBull(() => Promise.reject(new Error('odd'))));
    expect(broken.message).toContain('cannot be loaded');
  });

  it('does not start without Redis, and says so', async () => {
    const config = { url: 'redis://127.0.0.1:1' };
    const error = await rejection(
      startKernel(
        [
          [clusterRedis, { config: { url: server.url } }],
          [tasksBullmq, { config }],
        ],
        { pluginTimeoutMs: 20_000 },
      ),
    );
    expect(error.message).toMatch(/plugin "tasks-bullmq" failed during setup: cannot use the engine at /);
  });
});
