import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  definePlugin,
  Limits,
  type Principal,
  type Reservation,
  type UsageLimits,
  type WaggleError,
} from '#kernel';
import { RedisLink, redisConfig } from '#sdk/redis';
import endpointMe from '../../plugins/endpoint-me/index.js';
import { config } from '../../plugins/limits-redis/config.js';
import limitsRedis from '../../plugins/limits-redis/index.js';
import { LocalMinutes } from '../../plugins/limits-redis/local-minutes.js';
import { type LimitsTimes, RedisLimits } from '../../plugins/limits-redis/redis-limits.js';
import { SharedWindow } from '../../plugins/limits-redis/shared-window.js';
import { accessPlugin, as, TestUsers } from '../support/access.js';
import { done, ScriptedAgent, text } from '../support/agents.js';
import { eventually } from '../support/eventually.js';
import { rejection, silentLogger } from '../support/kernel.js';
import { example } from '../support/pages.js';
import type { RedisServer } from '../support/redis-server.js';
import { startServer } from '../support/server.js';
import { times } from '../support/thorough.js';
import { startNodeHive } from './hives.js';
import { later, proxyOf, quickTimes, redisForEach } from './node.js';

let server: RedisServer;
redisForEach((each) => {
  server = each;
});

const link = quickTimes.link;
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

async function open(options: object = {}, limitsTimes: LimitsTimes = { link }): Promise<RedisLimits> {
  const limits = new RedisLimits(config.parse({ url: server.url, ...options }), silentLogger, limitsTimes);
  await limits.start();
  later(() => limits.close());
  return limits;
}

const openAll = (count: number, options?: object, limitsTimes?: LimitsTimes) =>
  Promise.all(Array.from({ length: count }, () => open(options, limitsTimes)));

const user = (limits?: UsageLimits, id = 'ann'): Principal => ({ id, scopes: [], ...(limits && { limits }) });
const codeOf = (attempt: Promise<unknown> | unknown): Promise<unknown> =>
  Promise.resolve(attempt).then(
    () => 'ok',
    ({ code }: { readonly code: string }) => code,
  );
const countOf = (outcomes: readonly unknown[], code: string) =>
  outcomes.filter((each) => each === code).length;
const tokensLeft = async (limits: RedisLimits, of: Principal) => (await limits.left(of)).tokensPerDay?.left;
/** Ends the connections of the servers without a word to them. */
const cutAll = () => server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

describe.each([2, 3])('%i servers', (count) => {
  it('keep a budget of tokens together, to the token, also when a thousand ask at once', async () => {
    const nodes = await openAll(count);
    const ann = user({ tokensPerDay: 700 });
    const outcomes = await Promise.all(
      Array.from({ length: 1000 }, (_, n) => codeOf(nodes[n % count]?.tokens(ann, 1))),
    );
    expect([countOf(outcomes, 'ok'), countOf(outcomes, 'BUDGET_EXCEEDED')]).toEqual([700, 300]);
    const left = await Promise.all(nodes.map((node) => node.left(ann)));
    for (const each of left) expect(each.tokensPerDay).toMatchObject({ limit: 700, left: 0 });
    const resets = left.map((each) => each.tokensPerDay?.resetMs ?? 0);
    expect(Math.max(...resets) - Math.min(...resets)).toBeLessThan(minuteMs);
    expect(Math.max(...resets)).toBeLessThanOrEqual(dayMs);
  });

  it('never overspend what is reserved and settled in any order, and refuse nothing that there is room for', async () => {
    const nodes = await openAll(count);
    const step = fc.record({
      node: fc.nat({ max: count - 1 }),
      tokens: fc.integer({ min: 1, max: 700 }),
      used: fc.double({ min: 0, max: 1.2, noNaN: true }),
      settles: fc.boolean(),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const ann = user({ tokensPerDay: 1000 }, `user ${run++}`);
        let spent = 0;
        for (const { node, tokens, used, settles } of steps) {
          const taken = nodes[node]?.tokens(ann, tokens) as Promise<Reservation>;
          expect(await codeOf(taken)).toBe(spent + tokens <= 1000 ? 'ok' : 'BUDGET_EXCEEDED');
          if (spent + tokens > 1000) continue;
          spent += tokens;
          if (!settles) continue;
          const reservation = await taken;
          reservation.settle(used * tokens);
          reservation.settle(0);
          spent += Math.ceil(used * tokens) - tokens;
          await eventually(async () =>
            expect(await tokensLeft(nodes[node] as RedisLimits, ann)).toBe(Math.max(0, 1000 - spent)),
          );
        }
        for (const each of nodes) expect(await tokensLeft(each, ann)).toBe(Math.max(0, 1000 - spent));
      }),
      { numRuns: times(100) },
    );
  });

  it('count the requests of a minute together, and a refusal counts nothing', async () => {
    const nodes = await openAll(count);
    const ann = user({ requestsPerMinute: 100 });
    const ask = (n: number) => codeOf(nodes[n % count]?.request(ann));
    const outcomes = await Promise.all(Array.from({ length: 300 }, (_, n) => ask(n)));
    expect([countOf(outcomes, 'ok'), countOf(outcomes, 'RATE_LIMITED')]).toEqual([100, 200]);
    expect(await nodes[1]?.left(user({ requestsPerMinute: 101 }))).toMatchObject({
      requestsPerMinute: { limit: 101, left: 1 },
    });
    const refusal = (await rejection(nodes[1]?.request(ann) as Promise<void>)) as WaggleError<'RATE_LIMITED'>;
    expect(refusal.details).toMatchObject({ limit: 100, what: 'requests a minute' });
    expect(refusal.details.retryAfterMs).toBeGreaterThan(0);
    expect(refusal.details.retryAfterMs).toBeLessThanOrEqual(minuteMs);
  });

  it('share the places for replies of a user, and what one frees another one takes', async () => {
    const nodes = await openAll(count);
    const ann = user({ repliesAtOnce: 10 });
    const places: Reservation[] = [];
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        codeOf(
          Promise.resolve(nodes[n % count]?.reply(ann, `reply ${n}`)).then(
            (each) => each && places.push(each),
          ),
        ),
      ),
    );
    expect([countOf(outcomes, 'ok'), countOf(outcomes, 'RATE_LIMITED')]).toEqual([10, 40]);
    for (const node of nodes) expect(await node.left(ann)).toEqual({ repliesAtOnce: { limit: 10, left: 0 } });
    expect(await codeOf(nodes[0]?.reply(user({ repliesAtOnce: 10 }, 'bob'), 'another'))).toBe('ok');
    places[0]?.settle(0);
    places[0]?.settle(0);
    await eventually(async () =>
      expect(await nodes[1]?.left(ann)).toEqual({ repliesAtOnce: { limit: 10, left: 1 } }),
    );
    expect(await codeOf(nodes[1]?.reply(ann, 'next'))).toBe('ok');
    expect(await codeOf(nodes[0]?.reply(ann, 'one more'))).toBe('RATE_LIMITED');
  });
});

describe('a window', () => {
  const windowOf = async (durationMs: number, maxKeys = 100) => {
    const to = new RedisLink({
      config: redisConfig.parse({ url: server.url }),
      ...{ name: 'window', logger: silentLogger, times: link },
    });
    await to.start();
    later(() => to.close());
    return new SharedWindow(to, durationMs, () => maxKeys);
  };

  it('ends for all servers at once, and what was reserved in it is no credit for the next one', async () => {
    const [a, b] = [await windowOf(400), await windowOf(400)];
    expect(await a.take('k', 5, 5, 'one')).toMatchObject({ isTaken: true, left: 0 });
    const refused = await b.take('k', 1, 5);
    expect(refused).toMatchObject({ isTaken: false, left: 0 });
    expect(refused.resetMs).toBeLessThanOrEqual(400);
    await eventually(async () => expect(await b.left('k', 5)).toEqual({ limit: 5, left: 5 }));
    expect(await b.take('k', 3, 5)).toMatchObject({ isTaken: true, left: 2 });
    await a.settle('k', 'one', 0);
    expect(await a.left('k', 5)).toMatchObject({ left: 2 });
  });

  it('has each reservation settled once, by any server', async () => {
    const [a, b] = [await windowOf(60_000), await windowOf(60_000)];
    await a.take('k', 5, 10, 'one');
    await Promise.all([a.settle('k', 'one', 2), a.settle('k', 'one', 2)]);
    await b.settle('k', 'one', 0);
    expect(await b.left('k', 10)).toMatchObject({ left: 8 });
    await b.settle('k', 'of no reservation', 3);
    expect(await a.left('k', 10)).toMatchObject({ left: 8 });
  });

  it('is remembered for as many keys as are allowed, and for those only that have not ended', async () => {
    const a = await windowOf(300, 10);
    for (let n = 0; n < 50; n++) await a.take(`k${n}`, 1, 5);
    expect(a.size).toBe(10);
    await eventually(async () => {
      await a.take('late', 1, 100);
      expect(a.size).toBe(1);
    });
    expect(await server.command('KEYS', 'k*')).toEqual([]);
  });
});

describe('counts that Redis has lost', () => {
  it.each<[how: string, lose: () => Promise<unknown>]>([
    ['all', () => server.command('FLUSHALL')],
    [
      'the last ones',
      async () => {
        const [key = ''] = await server.command<string[]>('KEYS', '*:d');
        await server.command('HSET', key, 'n', '100', 'r', '1');
      },
    ],
  ])('(%s) are there again as servers have seen them', async (_, lose) => {
    const [a, b, c] = (await openAll(3)) as [RedisLimits, RedisLimits, RedisLimits];
    const ann = user({ tokensPerDay: 1000 });
    const [first] = [await a.tokens(ann, 600), await b.tokens(ann, 300)];
    expect(await tokensLeft(a, ann)).toBe(100);
    const before = (await b.left(ann)).tokensPerDay?.resetMs ?? 0;
    await lose();
    expect(await codeOf(b.tokens(ann, 101))).toBe('BUDGET_EXCEEDED');
    // A server that has seen nothing of it agrees from then on, also about the end of the day.
    expect(await codeOf(c.tokens(ann, 101))).toBe('BUDGET_EXCEEDED');
    expect((await c.left(ann)).tokensPerDay?.resetMs).toBeLessThanOrEqual(before);
    expect(await codeOf(c.tokens(ann, 100))).toBe('ok');
    expect(await codeOf(a.tokens(ann, 1))).toBe('BUDGET_EXCEEDED');
    first?.settle(0);
    expect(await tokensLeft(c, ann)).toBeLessThanOrEqual(600);
  });

  it('count with what was counted since, as the highest that is known', async () => {
    const [a, b] = (await openAll(2)) as [RedisLimits, RedisLimits];
    const ann = user({ tokensPerDay: 1000 });
    await a.tokens(ann, 600);
    await server.command('FLUSHALL');
    await b.tokens(ann, 100);
    expect(await tokensLeft(a, ann)).toBe(400);
    expect(await tokensLeft(b, ann)).toBe(400);
  });

  it('are there after a restart of Redis, and so are places that are held', async () => {
    const [a, b] = (await openAll(2)) as [RedisLimits, RedisLimits];
    const ann = user({ tokensPerDay: 10, repliesAtOnce: 2 });
    await a.tokens(ann, 7);
    await a.reply(ann, 'r1');
    await server.signal('SIGKILL');
    await server.run();
    await eventually(async () =>
      expect(await b.left(ann)).toMatchObject({ tokensPerDay: { left: 3 }, repliesAtOnce: { left: 1 } }),
    );
    await server.command('FLUSHALL');
    await cutAll();
    await eventually(async () => expect(await b.left(ann)).toMatchObject({ repliesAtOnce: { left: 1 } }));
  });
});

describe('a server that is lost', () => {
  const places = { leaseMs: 600, renewMs: 100 };

  it('gives its places free when their leases end; those of others stay, however long they are held', async () => {
    const proxy = await proxyOf(server);
    const lost = await open({ url: `redis://127.0.0.1:${proxy.port}` }, { link, places });
    const alive = await open({}, { link, places });
    const ann = user({ repliesAtOnce: 2 });
    await lost.reply(ann, 'of the lost one');
    await alive.reply(ann, 'of the other one');
    proxy.cut();
    expect(await codeOf(alive.reply(ann, 'next'))).toBe('RATE_LIMITED');
    await eventually(async () => expect(await alive.left(ann)).toMatchObject({ repliesAtOnce: { left: 1 } }));
    await eventually(async () => expect(await codeOf(alive.reply(ann, 'next'))).toBe('ok'));
    expect(await alive.left(ann)).toMatchObject({ repliesAtOnce: { left: 0 } });
  });

  it('stands in no way of another one that runs its reply again', async () => {
    const [lost, other] = (await openAll(2)) as [RedisLimits, RedisLimits];
    const ann = user({ repliesAtOnce: 1 });
    await lost.reply(ann, 'the same');
    expect(await codeOf(other.reply(ann, 'another'))).toBe('RATE_LIMITED');
    expect(await codeOf(other.reply(ann, 'the same'))).toBe('ok');
    expect(await other.left(ann)).toMatchObject({ repliesAtOnce: { left: 0 } });
  });

  it('leaves its reservations behind as used', async () => {
    const [lost, other] = (await openAll(2)) as [RedisLimits, RedisLimits];
    const ann = user({ tokensPerDay: 100 });
    await lost.tokens(ann, 60);
    await lost.close();
    expect(await codeOf(other.tokens(ann, 41))).toBe('BUDGET_EXCEEDED');
    expect(await tokensLeft(other, ann)).toBe(40);
  });
});

describe('while Redis is away', () => {
  it.each<[how: string, away: (proxy: Awaited<ReturnType<typeof proxyOf>>) => void]>([
    ['closes connections', (proxy) => proxy.cut()],
    [
      'is silent',
      (proxy) => {
        proxy.swallows = true;
      },
    ],
  ])(
    'and %s: tokens and replies are refused, requests count here, and what has ended is settled later, once',
    async (_, goAway) => {
      const proxy = await proxyOf(server);
      const a = await open({ url: `redis://127.0.0.1:${proxy.port}` });
      const b = await open();
      const ann = user({ tokensPerDay: 100, requestsPerMinute: 3, repliesAtOnce: 5 });
      const reservation = await a.tokens(ann, 80);
      const place = await a.reply(ann, 'r1');
      await a.request(ann);
      goAway(proxy);
      expect(await codeOf(a.tokens(ann, 1))).toBe('ENGINE_UNAVAILABLE');
      expect(await codeOf(a.reply(ann, 'r2'))).toBe('ENGINE_UNAVAILABLE');
      const outcomes = [];
      for (let n = 0; n < 5; n++) outcomes.push(await codeOf(a.request(ann)));
      expect(outcomes).toEqual(['ok', 'ok', 'ok', 'RATE_LIMITED', 'RATE_LIMITED']);
      expect(await codeOf(a.left(ann))).toBe('ENGINE_UNAVAILABLE');
      await eventually(() => expect(a.trouble).toMatch(/away/));
      reservation?.settle(30);
      place?.settle(0);
      expect(await tokensLeft(b, ann)).toBe(20);
      proxy.mend();
      await eventually(async () => expect(await tokensLeft(b, ann)).toBe(70));
      expect(a.trouble).toBeUndefined();
      expect(await a.left(ann)).toMatchObject({ tokensPerDay: { left: 70 }, requestsPerMinute: { left: 2 } });
      expect(await codeOf(a.tokens(ann, 71))).toBe('BUDGET_EXCEEDED');
      expect(await codeOf(a.tokens(ann, 70))).toBe('ok');
    },
  );

  it('connections that are lost all the time cost no token twice, and give none back twice', async () => {
    const [a, b] = (await openAll(2)) as [RedisLimits, RedisLimits];
    const ann = user({ tokensPerDay: 100_000 });
    let used = 0;
    const running = Array.from({ length: 300 }, async (_, n) => {
      if (n % 60 === 0) await cutAll().catch(() => {}); // by another one
      const reservation = await a.tokens(ann, 100)?.catch((error) => {
        expect(error.code).toBe('ENGINE_UNAVAILABLE');
        return undefined;
      });
      if (!reservation) return;
      used += n % 90;
      reservation.settle(n % 90);
    });
    await Promise.all(running);
    await eventually(async () => expect(await tokensLeft(b, ann)).toBe(100_000 - used));
  });

  it('a server without memory refuses tokens, and settles them when it has some again', async () => {
    const [a, b] = (await openAll(2)) as [RedisLimits, RedisLimits];
    const ann = user({ tokensPerDay: 100, requestsPerMinute: 3 });
    const first = await a.tokens(ann, 60);
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    expect(await codeOf(b.tokens(ann, 10))).toBe('ENGINE_UNAVAILABLE');
    expect(await codeOf(b.request(ann))).toBe('ok');
    first?.settle(10);
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    await eventually(async () => expect(await tokensLeft(b, ann)).toBe(90));
  });
});

it('requests that this server counts alone are bounded in number of users', () => {
  const minutes = new LocalMinutes();
  for (let n = 0; n < 30_000; n++) expect(minutes.take(`k${n}`, 1).isTaken).toBe(true);
  expect(minutes.take('k29999', 1).isTaken).toBe(false);
  expect(minutes.take('k0', 1).isTaken).toBe(true);
});

it.each([
  ['lone surrogates', '\ud800', '\ud801'],
  ['composed and decomposed letters', 'é', 'e\u0301'],
  ['spaces', 'a b', 'a  b'],
  ['braces of a slot', 'x}:d', 'x'],
  ['nothing and a zero', '', '\0'],
])('users whose ids differ in %s have counts of their own', async (_, one, other) => {
  const [a, b] = (await openAll(2)) as [RedisLimits, RedisLimits];
  const limits = { tokensPerDay: 10, requestsPerMinute: 1, repliesAtOnce: 1 };
  for (const id of [one, other]) {
    expect(await codeOf(a.tokens(user(limits, id), 10))).toBe('ok');
    expect(await codeOf(a.request(user(limits, id)))).toBe('ok');
    expect(await codeOf(a.reply(user(limits, id), id))).toBe('ok');
  }
  for (const id of [one, other]) {
    expect(await codeOf(b.tokens(user(limits, id), 1))).toBe('BUDGET_EXCEEDED');
    expect(await codeOf(b.request(user(limits, id)))).toBe('RATE_LIMITED');
    expect(await codeOf(b.reply(user(limits, id), 'another'))).toBe('RATE_LIMITED');
  }
});

it('names of keys hold no ids, and all of them expire', async () => {
  const a = await open({ prefix: 'my' });
  const ann = user({ tokensPerDay: 100, requestsPerMinute: 3, repliesAtOnce: 5 }, 'someone@example.org');
  await a.request(ann);
  await a.tokens(ann, 1);
  await a.reply(ann, 'the-id-of-a-reply');
  const keys = (await server.command<string[]>('KEYS', '*')).filter((key) => key !== 'my:layout');
  expect(keys).toHaveLength(3);
  expect(a.engineCommands).toEqual({ evalsha: 3 });
  for (const key of keys) {
    expect(key).toMatch(/^\{my:y:/);
    expect(await server.command('PTTL', key)).toBeGreaterThan(0);
    const value = JSON.stringify([key, String(await server.command('DUMP', key))]);
    expect(value).not.toMatch(/someone|the-id/);
  }
});

describe('servers with limits-redis', () => {
  const limits = { tokensPerDay: 4000, requestsPerMinute: 1000, repliesAtOnce: 300 };

  async function start(count: number, own: UsageLimits = limits) {
    const agent = new ScriptedAgent('a', [text('Hello'), done]);
    const plugin = definePlugin({ name: 'a', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) });
    const users = () => accessPlugin(new TestUsers({ 'token-of-ann': { id: 'ann', limits: own } }));
    return Promise.all(
      Array.from({ length: count }, () =>
        startNodeHive(server.url, {
          plugins: [limitsRedis, endpointMe, plugin, users()],
          config: { 'limits-redis': { url: server.url }, 'agent-queen': { candidates: ['a'] } },
        }),
      ),
    );
  }
  const ask = async (url: string) => {
    const response = await fetch(`${url}/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...as('ann') },
      body: JSON.stringify({ content: 'Hi', options: { maxTokens: 100 } }),
    });
    const code = /"code":\s*"(\w+)"/.exec(await response.text())?.[1] ?? 'ok';
    return { code, status: response.status, retryAfter: response.headers.get('retry-after') };
  };
  const me = async (url: string) =>
    ((await (await fetch(`${url}/me`, { headers: as('ann') })).json()) as { limits: object }).limits;

  it('keep the budget together over HTTP, and tell the same of it', async () => {
    const hives = await start(2);
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (_, n) => ask(hives[n % 2]?.url as string)),
    );
    const refused = outcomes.filter(({ code }) => code !== 'ok');
    expect(refused.length).toBeGreaterThan(0);
    for (const each of refused) {
      expect(each).toMatchObject({ code: 'BUDGET_EXCEEDED', status: 429 });
      expect(Number(each.retryAfter)).toBeGreaterThan(0);
    }
    await eventually(async () => {
      const [a, b] = (await Promise.all(hives.map(({ url }) => me(url)))) as {
        tokensPerDay: { left: number };
        repliesAtOnce: { left: number };
      }[];
      expect(b?.tokensPerDay.left).toBe(a?.tokensPerDay.left);
      expect(b?.repliesAtOnce).toEqual({ limit: 300, left: 300 });
    });
  });

  it('refuse an answer while Redis is away, with the time to come again, and say so in /ready', async () => {
    const [hive] = await start(1);
    const url = hive?.url as string;
    expect((await ask(url)).code).toBe('ok');
    await server.signal('SIGKILL');
    expect(await ask(url)).toEqual({ code: 'ENGINE_UNAVAILABLE', status: 503, retryAfter: '1' });
    await eventually(async () => {
      const ready = (await (await fetch(`${url}/ready`)).json()) as { readonly reasons: readonly string[] };
      expect(ready.reasons).toContain('usage is not counted: the engine that counts for all servers is away');
    });
    expect(hive?.kernel.get(Limits).trouble).toBeDefined();
    await server.run();
    await eventually(async () => expect((await ask(url)).code).toBe('ok'));
  });

  it('the same request on the same server takes one place, however often it is sent at once', async () => {
    const [hive] = await start(1, { repliesAtOnce: 1 });
    const body = JSON.stringify({ content: 'Hi', request_id: 'r1' });
    const headers = { 'content-type': 'application/json', ...as('ann') };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => fetch(`${hive?.url}/chat`, { method: 'POST', headers, body })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  });
});

it('the example of its page runs', async () => {
  const running = await startServer({
    config: example('limits-together.yaml'),
    env: { REDIS_URL: server.url },
  });
  later(() => running.stop());
  expect((await fetch(`${running.url}/ready`)).status).toBe(200);
  expect(await server.command('CLIENT', 'LIST')).toContain('waggle:limits');
});
