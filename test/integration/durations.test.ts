import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type PluginContext, type Route, Transport } from '#kernel';
import { longestMs } from '#sdk';
import { type ConnectOptions, connect } from '../../plugins/endpoint-ws/client/index.js';
import { type Hive, startHive } from '../support/hive.js';
import { plugin } from '../support/kernel.js';
import { call } from '../support/transport.js';
import { WsClient } from '../support/ws-client.js';

const echo = { name: 'test:echo', lane: 'main', exposed: true, run: (input: unknown) => input } as const;
const wide = [longestMs + 1, 9_999_999_999, 1e300, -1, 1.5];

describe.each(['uws', 'node'] as const)('a duration in a request over transport-%s', (transport) => {
  let hive: Hive;
  let wires: Transport;
  beforeAll(async () => {
    const tasks = plugin('tasks', {
      requires: { wires: Transport },
      setup(ctx: PluginContext, deps: Readonly<Record<string, unknown>>) {
        ctx.registerTask(echo);
        wires = deps.wires as Transport;
      },
    });
    hive = await startHive({ transport, plugins: [tasks] });
  });
  afterAll(() => hive.close());

  const post = (body: object, query = '') => {
    const path = `/tasks/test:echo${query}`;
    return call(Number(new URL(hive.url).port), { method: 'POST', path, body: JSON.stringify(body) });
  };

  it.each(['timeout_ms', 'delay_ms'])('%s that no timer can wait for is refused', async (key) => {
    for (const ms of wide) {
      const { status, json } = await post({ input: 1, [key]: ms });
      expect([status, json.error.code]).toEqual([400, 'INVALID_REQUEST']);
      expect(json.error.message).toContain(`${key}: expected integer`);
    }
  });

  it.each(['2147483648', '9999999999', '99999999999999999999', '-1', '1.5', '1e3', '', 'soon'])(
    '?wait=%s is refused',
    async (wait) => {
      const { status, json } = await post({ input: 1 }, `?wait=${wait}`);
      expect([status, json.error.message]).toEqual([
        400,
        `invalid request: wait: expected an integer 0-${longestMs}`,
      ]);
    },
  );

  it('the longest ones are taken', async () => {
    expect(await post({ input: 7, timeout_ms: longestMs }, `?wait=${longestMs}`)).toMatchObject({
      status: 200,
      json: { output: 7 },
    });
  });

  it('timeoutMs of a frame that no timer can wait for is refused', async () => {
    const client = await WsClient.connect(`${hive.ws}/durations`);
    for (const [index, timeoutMs] of wide.entries()) {
      const requestId = `r${index}`;
      client.send({ type: 'task', task: 'test:echo', input: 1, requestId, timeoutMs });
      expect(await client.until((frame) => frame.requestId === requestId)).toMatchObject({
        type: 'error',
        code: 'INVALID_FRAME',
        message: expect.stringContaining('timeoutMs: expected integer'),
      });
    }
    client.send({ type: 'task', task: 'test:echo', input: 8, requestId: 'good', timeoutMs: longestMs });
    expect(await client.until(({ type }) => type === 'task_result')).toMatchObject({ output: 8 });
    await client.close();
  });

  it('timeoutMs of a route that no timer can wait for is refused', () => {
    const route: Route = { method: 'GET', path: '/slow', handler: () => {} };
    for (const timeoutMs of [...wide, 0, Number.POSITIVE_INFINITY, Number.NaN])
      expect(() => wires.route({ ...route, timeoutMs })).toThrow(
        expect.objectContaining({
          code: 'ROUTE_INVALID',
          message: expect.stringContaining('timeoutMs: expected integer'),
        }),
      );
    void wires.route({ ...route, timeoutMs: longestMs })();
  });

  describe('of the typed client', () => {
    const open = (options: ConnectOptions = {}) => connect(`${hive.ws}/typed`, { WebSocket, ...options });
    const odd = [longestMs + 1, Number.POSITIVE_INFINITY, Number.NaN, -1];

    it.each<readonly [string, (ms: number) => ConnectOptions]>([
      ['answerTimeoutMs', (answerTimeoutMs) => ({ answerTimeoutMs })],
      ['heartbeatMs', (heartbeatMs) => ({ heartbeatMs })],
      ['reconnect.baseMs', (baseMs) => ({ reconnect: { baseMs } })],
      ['reconnect.maxMs', (maxMs) => ({ reconnect: { maxMs } })],
    ])('%s is refused', async (key, options) => {
      for (const ms of odd)
        await expect(open(options(ms))).rejects.toThrow(`${key}: expected a number from 0 to ${longestMs}`);
      await (await open(options(longestMs))).close();
    });

    it('timeoutMs of a request is refused, and the longest with all that is added to it is taken', async () => {
      const client = await open({ answerTimeoutMs: longestMs });
      for (const timeoutMs of odd) {
        expect(() => client.chat('x', { timeoutMs })).toThrow(/timeoutMs: expected a number/);
        expect(() => client.resume('x', { timeoutMs })).toThrow(/timeoutMs: expected a number/);
        expect(() => client.task('test:echo', 1, { timeoutMs })).toThrow(/timeoutMs: expected a number/);
      }
      expect(await client.task('test:echo', 9, { timeoutMs: longestMs })).toBe(9);
      await client.close();
    });
  });
});
