import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { WaggleError } from '#kernel';
import { definePlugin } from '../../../kernel/plugin.js';
import endpointMcp from '../../../plugins/endpoint-mcp/index.js';
import { type Session, Sessions } from '../../../plugins/endpoint-mcp/sessions.js';
import { accessPlugin, as } from '../../support/access.js';
import { eventually } from '../../support/eventually.js';
import { startHive } from '../../support/hive.js';
import { deferred } from '../../support/kernel.js';
import { leakCheck } from '../../support/leaks.js';
import { mcpClient } from '../../support/mcp-client.js';
import { times } from '../../support/thorough.js';

const rounds = times(20);

const waits = definePlugin({
  name: 'waits',
  apiVersion: 1,
  setup(ctx) {
    ctx.registerTask({
      name: 'test:waits',
      lane: 'main',
      input: z.object({}),
      exposed: true,
      tool: true,
      run: (_, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new Error('stopped'))),
        ),
    });
  },
});

const json = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };

function post(url: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(`${url}/mcp`, { method: 'POST', headers: { ...json, ...headers }, body: text });
}

const request = (method: string, params: object = {}) => ({ jsonrpc: '2.0', id: 1, method, params });
const initialize = request('initialize', {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'test', version: '1' },
});

/** The message in an event stream with one event. */
async function messageIn(answer: Response) {
  const [, data = 'null'] = /^data: (.*)$/m.exec(await answer.text()) ?? [];
  return JSON.parse(data);
}

async function begin(url: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const answer = await post(url, initialize, headers);
  await answer.text();
  return answer.headers.get('mcp-session-id') as string;
}

describe.each(['uws', 'node'] as const)('/mcp over transport-%s', (transport) => {
  const start = async (config: object = {}, plugins: readonly Parameters<typeof accessPlugin>[0][] = []) => {
    const access = plugins.length > 0 ? [accessPlugin(plugins[0])] : [];
    const hive = await startHive({
      transport,
      plugins: [...access, waits, endpointMcp],
      config: { 'endpoint-mcp': { agents: ['eliza'], ...config } },
    });
    onTestFinished(() => hive.stop());
    return hive;
  };

  it('answers a request without a session, as curl sends it', async () => {
    const { url } = await start();
    const answer = await post(
      url,
      request('tools/call', { name: 'ask_eliza', arguments: { question: 'Hello' } }),
    );
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(answer.headers.get('mcp-session-id')).toBeNull();
    expect(await messageIn(answer)).toMatchObject({ id: 1, result: { content: [{ type: 'text' }] } });
  });

  it.each([
    ['no JSON', '{', {}, 400, /invalid JSON/],
    ['no message', [], {}, 400, /./],
    ['another type of body', '{}', { 'content-type': 'text/html' }, 415, /text\/html/],
    ['a session that never was', request('tools/list'), { 'mcp-session-id': 'x' }, 404, /Session not found/],
    [
      'a body that is too large',
      JSON.stringify('x'.repeat(2000)),
      {},
      413,
      /"bodyLimitBytes" of endpoint-mcp/,
    ],
    ['a revision that is none', request('tools/list'), { 'mcp-protocol-version': '1999-01-01' }, 400, /1999/],
  ])('refuses %s in the words of JSON-RPC', async (_, body, headers, status, message) => {
    const { url } = await start({ bodyLimitBytes: 1000 });
    const answer = await post(url, body, headers as Record<string, string>);
    const refusal = await answer.json();
    expect(answer.status).toBe(status);
    expect(refusal).toMatchObject({ jsonrpc: '2.0', id: null });
    expect(refusal.error.message).toMatch(message as RegExp);
  });

  it('has no stream for news without a session', async () => {
    const { url } = await start();
    const answer = await fetch(`${url}/mcp`, { headers: { accept: 'text/event-stream' } });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it('keeps the session of a user from others', async () => {
    const { url } = await start({}, [undefined]);
    const id = { 'mcp-session-id': await begin(url, as('ann')) };
    const list = async (user: string) => {
      const answer = await post(url, request('tools/list'), { ...as(user), ...id });
      await answer.text();
      return answer.status;
    };
    expect([await list('bob'), await list('root'), await list('ann')]).toEqual([404, 404, 200]);
    const end = (user: string) =>
      fetch(`${url}/mcp`, { method: 'DELETE', headers: { ...as(user), ...id } }).then(({ status }) => status);
    expect([await end('bob'), await end('ann'), await end('ann')]).toEqual([404, 200, 404]);
  });

  it('ends the session that is idle for longest where there are too many', async () => {
    const { url } = await start({ maxSessions: 3, maxSessionsPerUser: 2 }, [undefined]);
    const isKnown = async (id: string, user: string) => {
      const answer = await post(url, request('ping'), { ...as(user), 'mcp-session-id': id });
      await answer.text();
      return answer.status === 200;
    };
    const [a1, a2] = [await begin(url, as('ann')), await begin(url, as('ann'))];
    const b1 = await begin(url, as('bob'));
    // The third one of Ann costs her first one, and Bob nothing.
    const a3 = await begin(url, as('ann'));
    expect(await Promise.all([isKnown(a1, 'ann'), isKnown(a3, 'ann'), isKnown(b1, 'bob')])).toEqual([
      false,
      true,
      true,
    ]);
    // There is room for three: now the oldest of all ends.
    await begin(url, as('bob'));
    expect(await isKnown(a2, 'ann')).toBe(false);
  });

  it('refuses a session where all are in use', async () => {
    const { url, tasks, settled } = await start({ maxSessions: 1 });
    const id = await begin(url);
    const leaving = new AbortController();
    const open = async (signal: AbortSignal | null = null) => {
      const headers = { accept: 'text/event-stream', 'mcp-session-id': id };
      return (await fetch(`${url}/mcp`, { headers, signal })).status;
    };
    expect(await open(leaving.signal)).toBe(200);
    // One stream is enough for a session.
    expect(await open()).toBe(409);
    const refused = await post(url, initialize);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '10']);
    expect((await refused.json()).error.data).toEqual({ code: 'QUEUE_FULL' });
    leaving.abort();
    const again = new AbortController();
    await eventually(async () => expect(await open(again.signal)).toBe(200));
    again.abort();
    await eventually(async () => expect(await begin(url)).toMatch(/^[\w-]{24}$/));
    expect(tasks.stats.running).toBe(0);
    await settled();
  });

  it.each(['modern', 'legacy'] as const)(
    'stops with clients of the %s era that wait for news and for a call',
    async (era) => {
      const leaks = leakCheck();
      const hive = await startHive({ transport, plugins: [waits, endpointMcp], drainTimeoutMs: 60_000 });
      const heard = deferred();
      const { call, close } = await mcpClient(hive.url, { era, listChanged: heard.resolve });
      await eventually(() => expect(hive.kernel.inspect().state).toBe('ready'));
      const failed = call('test_waits').then(
        () => 'answered',
        () => 'failed',
      );
      await eventually(() => expect(hive.tasks.stats.running).toBe(1));
      // It stays, and is not waited for.
      await mcpClient(hive.url, { era, listChanged: () => {} });
      const stopped = hive.kernel.stop();
      await eventually(() => expect(hive.kernel.inspect().state).toBe('draining'));
      await close();
      await stopped;
      expect(await failed).toBe('failed');
      await leaks.settled();
    },
  );

  it.each(['modern', 'legacy'] as const)(
    'unloaded while the server runs ends the calls of its clients of the %s era',
    async (era) => {
      const hive = await startHive({ transport, plugins: [waits, endpointMcp] });
      onTestFinished(() => hive.stop());
      const { call } = await mcpClient(hive.url, { era, listChanged: () => {} });
      call('test_waits').catch(() => {});
      await eventually(() => expect(hive.tasks.stats.running).toBe(1));
      await hive.kernel.unload('endpoint-mcp');
      await eventually(() => expect(hive.tasks.stats.running).toBe(0));
      expect(hive.tasks.stats.cancelled).toBe(1);
      expect((await fetch(`${hive.url}/mcp`, { method: 'POST' })).status).toBe(404);
    },
  );

  it(`leaves nothing behind of ${10 * rounds} clients`, async () => {
    const leaks = leakCheck();
    const hive = await startHive({ transport, plugins: [waits, endpointMcp] });
    for (let round = 0; round < rounds; round++)
      await Promise.all(
        Array.from({ length: 10 }, async (_, index) => {
          const era = index % 2 ? 'modern' : 'legacy';
          const { call, names, close } = await mcpClient(hive.url, { era, listChanged: () => {} });
          const failed = call('test_waits').catch(() => {});
          expect(await names()).toEqual(['test_waits']);
          await close();
          await failed;
        }),
      );
    await hive.close();
    await leaks.settled();
  }, 240_000);
});

describe('sessions', () => {
  const session = (userId: string | undefined, idleSinceMs: number | undefined) => {
    const ended: string[] = [];
    const end = async () => void ended.push('ended');
    return { userId, idleSinceMs, close: end, ended } as unknown as Session & { ended: string[] };
  };

  it('end when they are idle for too long, and not while they are in use', () => {
    const sessions = new Sessions({ maxSessions: 10, maxSessionsPerUser: 10, sessionIdleMs: 100 });
    const [idle, young, busy] = [session('a', 0), session('a', 50), session('a', undefined)];
    sessions.add('idle', idle);
    sessions.add('young', young);
    sessions.add('busy', busy);
    sessions.endIdle(100);
    expect([idle, young, busy].map(({ ended }) => ended.length)).toEqual([1, 0, 0]);
    expect([sessions.find('idle', 'a'), sessions.find('young', 'a'), sessions.find('busy', 'a')]).toEqual([
      undefined,
      young,
      busy,
    ]);
  });

  it('make room only with sessions that are idle', () => {
    const sessions = new Sessions({ maxSessions: 2, maxSessionsPerUser: 1, sessionIdleMs: 100 });
    sessions.add('busy', session('a', undefined));
    const refusal = (userId: string) => {
      try {
        sessions.makeRoom(userId);
        return undefined;
      } catch (error) {
        return WaggleError.is(error, 'QUEUE_FULL') && error.details.limit;
      }
    };
    expect([refusal('a'), refusal('b')]).toEqual([1, undefined]);
    const idle = session('b', 0);
    sessions.add('idle', idle);
    expect([refusal('c'), idle.ended]).toEqual([undefined, ['ended']]);
  });
});
