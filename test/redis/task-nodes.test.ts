import { describe, expect, it } from 'vitest';
import type { TaskDefinition, TaskRun, TaskUpdate } from '#kernel';
import { RedisLink, redisConfig } from '#sdk/redis';
import { Line } from '../../plugins/tasks-bullmq/line.js';
import type { BullTimes } from '../../plugins/tasks-bullmq/times.js';
import { eventually } from '../support/eventually.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { deferred, rejection, silentLogger } from '../support/kernel.js';
import type { RedisServer } from '../support/redis-server.js';
import { createBullNode } from './bull-node.js';
import { later, redisForEach, startNode } from './node.js';

/** Bounds in which a second stands for five. */
const quick: BullTimes = { lockMs: 2000, stalledMs: 500, beatMs: 100, reviewMs: 500 };

let server: RedisServer;
redisForEach((each) => {
  server = each;
});

type Settings = Parameters<typeof createBullNode>[0];

/** A node with tasks; `proxied` for one whose tasks reach Redis over a link of their own. */
async function taskNode(settings: Settings = {}, { proxied = false } = {}) {
  const cluster = await startNode({ config: { url: server.url } });
  let proxy: FaultProxy | undefined;
  if (proxied) {
    proxy = await FaultProxy.start({ port: server.port, host: '127.0.0.1' });
    later(() => proxy?.close());
  }
  const url = proxy ? `redis://127.0.0.1:${proxy.port}` : server.url;
  const node = createBullNode({ url, workers: 0, ...settings }, cluster, quick);
  await node.engine.start();
  later(() => node.engine.close());
  const register = (name: string, run: TaskDefinition['run' & keyof TaskDefinition], more: object = {}) =>
    node.tasks.add({ name, lane: 'main', run, ...more } as TaskDefinition, 'test');
  return { ...node, cluster, register, proxy };
}

type Node = Awaited<ReturnType<typeof taskNode>>;

async function inOneCluster<T extends readonly Node[]>(...nodes: T): Promise<T> {
  await eventually(() => {
    for (const { cluster } of nodes) expect(cluster.alive()).toHaveLength(nodes.length);
  });
  return nodes;
}

/** A task that holds a place until it is let go or cancelled. */
function blocker({ register }: Node, name = 'block', more: object = {}) {
  const { promise, resolve } = deferred();
  const started: unknown[] = [];
  register(
    name,
    ((input: unknown, { signal }: { signal: AbortSignal }) => {
      started.push(input);
      return new Promise((done, fail) => {
        void promise.then(() => done(input));
        signal.addEventListener('abort', () => fail(new Error('stopped')));
      });
    }) as never,
    more,
  );
  return { started, release: () => resolve() };
}

/** Ends connections first: one that has lost bytes would give each command the reply of an earlier one. */
function mend({ proxy }: Node): void {
  proxy?.drop();
  proxy?.mend();
}

async function updatesOf(run: TaskRun | undefined): Promise<readonly TaskUpdate[]> {
  const all: TaskUpdate[] = [];
  for await (const batch of run?.updates() ?? []) all.push(...batch);
  return all;
}

/** Two nodes of which the first one is full, so that the second one runs what the first one accepts. */
async function fullAndFree() {
  const a = await taskNode({ mainConcurrency: 1 });
  const { release } = blocker(a, 'busy');
  const busy = await a.engine.submit('busy', null);
  later(release);
  await eventually(() => expect(busy.state).toBe('running'));
  const [, b] = await inOneCluster(a, await taskNode());
  return { a, b, busy, release };
}

describe('what a run costs', () => {
  /** Scripts of BullMQ that Redis has run. */
  async function scripts(): Promise<number> {
    const text = await server.command<string>('INFO', 'commandstats');
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1] ?? 0);
  }

  it('is a few scripts, however many places are free, one by one and many at once', async () => {
    const node = await taskNode({ mainConcurrency: 4000 });
    node.register('n', (async (n: number) => n) as never);
    expect(await (await node.engine.submit('n', 0)).result).toBe(0);
    for (const count of [1, 300]) {
      const before = await scripts();
      const runs = await Promise.all(Array.from({ length: count }, (_, n) => node.engine.submit('n', n)));
      await Promise.all(runs.map(({ result }) => result));
      // To add it, take it and end it, and now and then a look at the line; never one for each free place.
      expect((await scripts()) - before).toBeLessThan(200 + 8 * count);
    }
  });

  it('is no turn for others: what waits behind it is taken as soon as there is a place', async () => {
    const node = await taskNode({ mainConcurrency: 1 });
    const block = blocker(node);
    node.register('n', (async (n: number) => n) as never);
    const busy = await node.engine.submit('block', 1);
    const rest = await Promise.all([1, 2, 3].map((n) => node.engine.submit('n', n)));
    block.release();
    expect(await Promise.all(rest.map(({ result }) => result))).toEqual([1, 2, 3]);
    await busy.result;
  });
});

describe('a run on another node', () => {
  it('gives its updates and its result where it was accepted', async () => {
    const { a, b } = await fullAndFree();
    a.register('job', (() => 'wrong node') as never);
    b.register('job', (async (input: { n: number }, call: never) => {
      const { partial, progress } = call as { partial(v: unknown): void; progress(v: unknown): void };
      for (let n = 0; n < input.n; n++) partial(n);
      progress('done');
      return { doubled: input.n * 2 };
    }) as never);
    const seen: string[] = [];
    b.bus.on('task:succeeded', ({ name }) => void seen.push(`b ${name}`));
    a.bus.on('task:queued', ({ name }) => void seen.push(`a ${name}`));
    const run = await a.engine.submit('job', { n: 500 }, { owner: 'ann' });
    const updates = updatesOf(run);
    expect(await run.result).toEqual({ doubled: 1000 });
    expect(run).toMatchObject({ state: 'succeeded', attempts: 1, ended: true });
    const all = await updates;
    expect(all.filter(({ type }) => type === 'partial').map(({ value }) => value)).toEqual(
      Array.from({ length: 500 }, (_, n) => n),
    );
    expect(all.filter(({ type }) => type === 'progress').at(-1)?.value).toBe('done');
    expect(seen).toEqual(['a job', 'b job']);
    expect(a.engine.stats).toMatchObject({ submitted: 2, succeeded: 1, running: 1, waiting: 0 });
    expect(b.engine.stats).toMatchObject({ submitted: 0, succeeded: 0 });
    // By its user, on a node that has nothing of it in memory.
    const found = await b.engine.find(run.id, { id: 'ann', scopes: [] });
    expect(found).toMatchObject({ state: 'succeeded', output: { doubled: 1000 }, name: 'job' });
    expect(await b.engine.find(run.id, { id: 'bob', scopes: [] })).toBeUndefined();
  });

  it('is followed and cancelled from any node', async () => {
    const { a, b } = await fullAndFree();
    const [c] = [await taskNode()];
    a.register('long', (() => 'wrong node') as never);
    const started = deferred();
    b.register('long', ((_: unknown, call: never) => {
      const { partial, signal } = call as { partial(v: unknown): void; signal: AbortSignal };
      partial('first');
      started.resolve();
      return new Promise((_, fail) => signal.addEventListener('abort', () => fail(new Error('stopped'))));
    }) as never);
    const run = await a.engine.submit('long', null);
    await started.promise;
    await eventually(() => expect(run.state).toBe('running'));
    const followed = (await c.engine.find(run.id)) as TaskRun;
    for await (const batch of followed.updates()) {
      expect(batch).toContainEqual({ type: 'partial', value: 'first' });
      break;
    }
    expect(await followed.cancel()).toBe(true);
    expect(await rejection(run.result)).toMatchObject({ code: 'TASK_CANCELLED' });
    expect(await run.cancel()).toBe(true);
    expect(a.engine.stats).toMatchObject({ cancelled: 1 });
  });

  it('that fails says so with its code where it was accepted, and its dead letter is known to all', async () => {
    const { a, b } = await fullAndFree();
    a.register('bad', (() => 'wrong node') as never);
    b.register('bad', (() => Promise.reject(new Error('a secret'))) as never, {
      retries: { max: 1, baseMs: 1 },
    });
    const run = await a.engine.submit('bad', null);
    const error = await rejection(run.result);
    expect(error).toMatchObject({ code: 'TASK_FAILED', message: 'task "bad" failed: it threw an error' });
    expect(run.attempts).toBe(2);
    const [letter] = await a.engine.deadLetters();
    expect(letter).toMatchObject({ taskId: run.id, attempts: 2, reason: expect.stringContaining('secret') });
  });

  it('goes in the order of priority, whoever has accepted it', async () => {
    const [a, b] = await inOneCluster(
      await taskNode({ mainConcurrency: 1, maxPriority: 'urgent' }),
      await taskNode({ mainConcurrency: 1, maxPriority: 'urgent' }),
    );
    const order: unknown[] = [];
    for (const node of [a, b]) node.register('note', ((input: unknown) => void order.push(input)) as never);
    const [one, two] = [blocker(a, 'busy'), blocker(b, 'busy')];
    const busy = [await a.engine.submit('busy', null), await b.engine.submit('busy', null)];
    const runs = [
      await a.engine.submit('note', 'low', { priority: 'low' }),
      await b.engine.submit('note', 'normal', { priority: 'normal' }),
      await a.engine.submit('note', 'urgent', { priority: 'urgent' }),
      await b.engine.submit('note', 'high', { priority: 'high' }),
    ];
    one.release();
    await Promise.all(runs.map(({ result }) => result));
    expect(order).toEqual(['urgent', 'high', 'normal', 'low']);
    two.release();
    await Promise.all(busy.map(({ result }) => result));
  });

  it('waits for a node that knows its task', async () => {
    const { a, b } = await fullAndFree();
    const [c] = [await taskNode()];
    a.register('rare', (() => 'wrong node') as never);
    const run = await a.engine.submit('rare', null);
    await eventually(async () =>
      expect(Number(await server.command('ZCARD', '{w:tasks}:main:delayed'))).toBe(1),
    );
    c.register('rare', (() => 'known here') as never);
    b.register('other', (() => null) as never);
    expect(await run.result).toBe('known here');
  });

  it('is refused where what goes in, and fails where what comes out is not JSON', async () => {
    const a = await taskNode();
    a.register('same', ((input: unknown) => (input === 'map' ? new Map([[1, 2]]) : input)) as never);
    for (const input of [new Date(), { at: [1, { when: new Date() }] }, Number.NaN, 1n, [undefined]])
      expect(await rejection(a.engine.submit('same', input))).toMatchObject({
        code: 'INVALID_REQUEST',
        message: expect.stringContaining('is not JSON'),
      });
    expect(await (await a.engine.submit('same', { a: [1, null, 'x'], b: undefined })).result).toEqual({
      a: [1, null, 'x'],
    });
    const error = await rejection((await a.engine.submit('same', 'map')).result);
    expect(error).toMatchObject({ code: 'TASK_FAILED', message: expect.stringContaining('not JSON') });
  });
});

describe('limits of what waits', () => {
  it.each<[limit: string, settings: Settings, more: object]>([
    ['queueLimit', { queueLimit: 6 }, {}],
    ['maxQueued of a task', {}, { maxQueued: 6, concurrency: 1 }],
  ])(
    '%s holds over all nodes together, and each has room again when another one is let go',
    async (_, settings, more) => {
      const [a, b, c] = await inOneCluster(
        await taskNode({ mainConcurrency: 1, ...settings }),
        await taskNode({ mainConcurrency: 1, ...settings }),
        await taskNode({ mainConcurrency: 1, ...settings }),
      );
      const nodes = [a, b, c];
      const blockers = nodes.map((node) => blocker(node, 'block', more));
      later(() => {
        for (const { release } of blockers) release();
      });
      for (const [index, { engine }] of nodes.entries()) await engine.submit('block', index);
      const started = () => blockers.reduce((sum, each) => sum + each.started.length, 0);
      await eventually(() => expect(started()).toBe(3));
      const accepted: TaskRun[] = [];
      const fill = async (node: Node) => {
        // What others have taken in the last second is not known yet: so one after the other, until it is.
        for (let n = 0; n < 20; n++) {
          const run = await node.engine.submit('block', n).catch((error) => {
            expect(error).toMatchObject({ code: 'QUEUE_FULL', details: { limit: 6 } });
            expect(error.details.retryAfterMs).toBeGreaterThan(0);
            return undefined;
          });
          if (!run) return;
          accepted.push(run);
        }
      };
      for (const node of nodes) {
        await fill(node);
        // On its own no node passes the limit.
        if (node === a) expect(accepted.length).toBeLessThanOrEqual(6);
        await eventually(async () => {
          for (const { engine } of nodes)
            expect(
              await rejection(engine.submit('block', 'one more').then((run) => accepted.push(run))),
            ).toMatchObject({
              code: 'QUEUE_FULL',
            });
        });
      }
      await Promise.all(accepted.map((run) => run.cancel()));
      for (const { engine } of nodes)
        await eventually(async () => {
          const run = await engine.submit('block', 'again');
          await run.cancel();
        });
    },
  );
});

describe('a key of idempotency over nodes', () => {
  it('gives one run to all who ask at the same time, and another input is refused', async () => {
    const [a, b] = await inOneCluster(await taskNode(), await taskNode());
    let calls = 0;
    for (const { register } of [a, b])
      register('once', (async (input: unknown) => {
        calls++;
        return input;
      }) as never);
    const key = { owner: 'ann', idempotencyKey: 'k' };
    const runs = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n % 2 ? a : b).engine.submit('once', { n: 1 }, key)),
    );
    expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
    expect(await Promise.all(runs.map(({ result }) => result))).toEqual(runs.map(() => ({ n: 1 })));
    expect(calls).toBe(1);
    for (const { engine } of [a, b])
      expect(await rejection(engine.submit('once', { n: 2 }, key))).toMatchObject({
        code: 'IDEMPOTENCY_MISMATCH',
      });
    expect(
      a.engine.stats.submitted - a.engine.stats.rejected + b.engine.stats.submitted - b.engine.stats.rejected,
    ).toBe(1);
  });

  it('is free again after a failure', async () => {
    const [a, b] = await inOneCluster(await taskNode(), await taskNode());
    for (const { register } of [a, b])
      register('may', ((how: string) => (how === 'fail' ? Promise.reject(new Error('no')) : how)) as never);
    const key = { owner: 'ann', idempotencyKey: 'k' };
    await rejection((await a.engine.submit('may', 'fail', key)).result);
    expect(await (await b.engine.submit('may', 'work', key)).result).toBe('work');
  });
});

describe('a node that drains', () => {
  it('ends what it runs and leaves what waits to the other', async () => {
    const [a, b] = await inOneCluster(
      await taskNode({ mainConcurrency: 1 }),
      await taskNode({ mainConcurrency: 1 }),
    );
    const [one, two] = [blocker(a), blocker(b)];
    const [first, second] = [await a.engine.submit('block', 1), await b.engine.submit('block', 2)];
    const waits = await a.engine.submit('block', 3);
    const followed = (await b.engine.find(waits.id)) as TaskRun;
    const drained = a.engine.drain(new AbortController().signal);
    expect(await rejection(a.engine.submit('block', 4))).toMatchObject({ code: 'SHUTTING_DOWN' });
    one.release();
    await drained;
    expect(first.state).toBe('succeeded');
    expect(waits.state).toBe('queued');
    const left = rejection(waits.result);
    await a.engine.close();
    expect(await left).toMatchObject({ code: 'SHUTTING_DOWN' });
    two.release();
    expect(await followed.result).toBe(3);
    expect(two.started).toEqual([2, 3]);
    await second.result;
  });
});

describe('a node that is lost', () => {
  it('loses its runs to another one, which is counted, and its own end of them counts for nothing', async () => {
    const a = await taskNode({}, { proxied: true });
    const stuck = blocker(a, 'job');
    const run = await a.engine.submit('job', 'x');
    expect(stuck.started).toEqual(['x']);
    const b = await taskNode();
    b.register('job', (() => 'from b') as never);
    if (a.proxy) a.proxy.swallows = true;
    const followed = (await b.engine.find(run.id)) as TaskRun;
    expect(await followed.result).toBe('from b');
    expect(b.engine.stats.stalled).toBe(1);
    stuck.release();
    mend(a);
    expect(await run.result).toBe('from b');
    expect(a.engine.stats).toMatchObject({ submitted: 1, succeeded: 1, running: 0 });
    expect(await server.command('LRANGE', '{w:tasks}:main:active', '0', '-1')).toEqual([]);
  });

  it('runs where its task is known, and is not taken again and again by a node that does not know it', async () => {
    const { a, b, release } = await fullAndFree();
    const events = async () => {
      const all = (await server.command('XRANGE', '{w:tasks}:main:events', '-', '+')) as [string, string[]][];
      return all.filter(([, fields]) => fields.includes('delayed')).length;
    };
    const run = await a.engine.submit('busy', 1);
    await eventually(async () => expect(await events()).toBeGreaterThan(0));
    release();
    expect(await run.result).toBe(1);
    expect(b.engine.stats.running).toBe(0);
    // Each takes it once, and on a busy machine twice.
    expect(await events()).toBeLessThan(4);
  });

  it('fails a run that must not run again', async () => {
    const a = await taskNode({}, { proxied: true });
    const stuck = blocker(a, 'job', { rerun: 'never' });
    const run = await a.engine.submit('job', 'x');
    const b = await taskNode();
    const other = blocker(b, 'job', { rerun: 'never' });
    if (a.proxy) a.proxy.swallows = true;
    const followed = (await b.engine.find(run.id)) as TaskRun;
    expect(await rejection(followed.result)).toMatchObject({ code: 'TASK_CRASHED' });
    expect(other.started).toEqual([]);
    expect(await b.engine.deadLetters()).toMatchObject([{ taskId: run.id, code: 'TASK_CRASHED' }]);
    stuck.release();
    mend(a);
    expect(await rejection(run.result)).toMatchObject({ code: 'TASK_CRASHED' });
  });

  it('ends a run that has taken four of them down', async () => {
    const a = await taskNode({ mainConcurrency: 1 });
    const { release } = blocker(a, 'busy');
    await a.engine.submit('busy', null);
    const { started } = blocker(a, 'job');
    const times = { lockMs: 1, stalledMs: 100 };
    const link = new RedisLink({
      config: redisConfig.parse({ url: server.url }),
      name: 'dead',
      logger: silentLogger,
    });
    later(() => link.close());
    await link.start();
    const keeping = { keepMs: 60_000, maxKept: 10 };
    const dead = new Line('main', { link, prefix: '{w:tasks}', times, keeping, token: 'dead' });
    const run = await a.engine.submit('job', 'x');
    // Nodes that take the job, and never renew their lock.
    for (let stalls = 0; stalls <= 3; stalls++)
      await eventually(async () => expect(await dead.take()).toMatchObject({ id: run.id, stalls }));
    release();
    const error = await rejection(run.result);
    expect(error).toMatchObject({ code: 'TASK_CRASHED', message: expect.stringContaining('4 servers') });
    expect(started).toEqual([]);
    expect(a.engine.stats.stalled).toBe(4);
  });
});

describe('while Redis is away', () => {
  it('tasks are refused at once; what has ended is stored afterwards, and the next ones run', async () => {
    const a = await taskNode({}, { proxied: true });
    const { release } = blocker(a);
    const runs = await Promise.all(Array.from({ length: 20 }, (_, n) => a.engine.submit('block', n)));
    a.proxy?.cut();
    await eventually(async () =>
      expect(await rejection(a.engine.submit('block', 2))).toMatchObject({
        code: 'ENGINE_UNAVAILABLE',
        retryAfterMs: expect.any(Number),
      }),
    );
    expect(await rejection(a.engine.find('x'.repeat(24).concat('.main')))).toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
    });
    release();
    a.proxy?.mend();
    expect(await Promise.all(runs.map(({ result }) => result))).toEqual(runs.map((_, n) => n));
    expect(await (await a.engine.submit('block', 3)).result).toBe(3);
  });

  it('that has lost its data afterwards, those who have accepted runs add them again', async () => {
    const { a, b, release, busy } = await fullAndFree();
    a.register('job', (() => 'done') as never);
    const run = await a.engine.submit('job', null, { delayMs: 60_000 });
    await server.command('FLUSHALL');
    await eventually(async () =>
      expect(Number(await server.command('ZCARD', '{w:tasks}:main:delayed'))).toBe(1),
    );
    expect(await run.cancel()).toBe(true);
    release();
    await busy.result;
    expect(busy.attempts).toBe(1);
    expect(b.engine.stats.submitted).toBe(0);
  });

  it('that has lost its data afterwards, a run that must not run again fails, and is not added', async () => {
    const { a, b, release, busy } = await fullAndFree();
    const here = blocker(a, 'once', { rerun: 'never' });
    const there = blocker(b, 'once', { rerun: 'never' });
    const run = await a.engine.submit('once', 1);
    await eventually(() => expect([there.started, run.attempts]).toEqual([[1], 1]));
    await server.command('FLUSHALL');
    expect(await rejection(run.result)).toMatchObject({ code: 'TASK_CRASHED' });
    there.release();
    release();
    await busy.result;
    // Anything that was added would run before this one.
    expect(await (await a.engine.submit('busy', 2)).result).toBe(2);
    expect([...here.started, ...there.started]).toEqual([1]);
  });
});
