import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { callControl } from '../../kernel/host/live/control-call.js';
import { type ControlSocket, socketsOf } from '../../kernel/host/live/runtime-folder.js';
import { tempFolder } from '../support/kernel.js';
import { only, startServer } from '../support/server.js';
import { call } from '../support/transport.js';
import { textOf, WsClient } from '../support/ws-client.js';

type Plugins = Readonly<Record<string, object>>;

const parts = [
  ...['transport-uws', 'tasks-tinypool', 'store-memory', 'agent-eliza', 'agent-queen', 'limits-memory'],
  ...[
    'streams-memory',
    'endpoint-ws',
    'endpoint-chat',
    'endpoint-health',
    'endpoint-tasks',
    'endpoint-messages',
  ],
];
/** Says how many messages it was given and what stood first, and waits where it is told to. */
const echo = `
export default {
  name: 'agent-echo',
  apiVersion: 1,
  setup(ctx) {
    ctx.addAgent({
      name: 'echo',
      async *generateResponseStream({ messages }, { signal }) {
        yield { type: 'text', content: messages.length + ' ' + messages[0].content };
        if (messages.at(-1).content === 'wait')
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        yield { type: 'done', reason: 'stop' };
      },
    });
    ctx.registerTask({ name: 'slow', lane: 'main', exposed: true, run: () => new Promise(() => {}) });
  },
};`;

/** A server with a file of plugins, which are merged over these. */
async function start(transport: 'uws' | 'node', more: Plugins = {}) {
  const folder = tempFolder();
  folder.write('echo.mjs', echo);
  const base: Plugins = {
    ...only(...parts, ...Object.keys(more)),
    'transport-uws': {},
    'agent-queen': { config: { candidates: ['echo'], healthTtlMs: 60_000 } },
    echo: { use: './echo.mjs' },
    ...more,
  };
  const textFor = (plugins: Plugins) => {
    const all = Object.entries({ ...base, ...plugins }).map(([id, entry]) => {
      const before = (base[id] ?? {}) as { readonly config?: object };
      const now = entry as { readonly config?: object };
      const use = id === 'transport-uws' && transport === 'node' ? { use: 'transport-node' } : {};
      const config = { ...before.config, ...now.config };
      const address = id === 'transport-uws' ? { host: '127.0.0.1', port: 0 } : {};
      return [id, { ...use, ...before, ...now, config: { ...address, ...config } }];
    });
    return stringify({ plugins: Object.fromEntries(all.map(([id, each]) => [id, tidy(each as object)])) });
  };
  const file = folder.write('my.yaml', textFor({}));
  // The slow task does not end by itself.
  const env = { WAGGLE__server__drainTimeoutMs: '1' };
  const server = await startServer({ args: ['--config', file], env });
  const change = async (plugins: Plugins) => {
    folder.write('my.yaml', textFor(plugins));
    const [socket] = socketsOf({ config: file }) as readonly [ControlSocket];
    const { code, text } = (await callControl(socket, 'apply')) ?? { code: -1, text: '' };
    expect({ code, text }).toMatchObject({ code: 0 });
    return text
      .trim()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' '));
  };
  return { server, change, folder };
}

function tidy(entry: object): object {
  const { config = {}, ...rest } = entry as { readonly config?: object };
  return Object.keys(config).length > 0 ? { ...rest, config } : rest;
}

describe.each(['uws', 'node'] as const)(
  'keys that are taken while the server runs, over transport-%s',
  (transport) => {
    it('count at once, and the connection stays open', async () => {
      const { server, change } = await start(transport);
      const client = await WsClient.connect(`${server.ws}/keys`);
      const ask = async (frame: object = {}) => textOf(await client.ask({ content: 'x', ...frame }));
      const json = { 'content-type': 'application/json' };
      const chat = (content: string) =>
        call(server.port, {
          method: 'POST',
          path: '/chat',
          headers: json,
          body: JSON.stringify({ user_id: 'u', content }),
        });
      const update = (id: string, key: string) => [expect.stringMatching(`^update ${id} ${key}`)];

      await client.ask({ content: 'first', conversationId: 'c' });
      expect(await ask({ conversationId: 'c' })).toBe('3 first');
      expect(await change({ 'agent-queen': { config: { systemPrompt: 'Be brief' } } })).toEqual(
        update('agent-queen', 'systemPrompt'),
      );
      expect(await ask({ conversationId: 'c' })).toMatch(/^6 Be brief/);

      expect((await chat('x'.repeat(2000))).status).toBe(200);
      await change({ 'endpoint-chat': { config: { bodyLimitBytes: 1000 } } });
      expect((await chat('x'.repeat(2000))).status).toBe(413);
      expect((await chat('x')).status).toBe(200);

      await change({ 'endpoint-ws': { config: { maxStreamsPerConnection: 1 } } });
      client.send({ type: 'stream_request', content: 'wait', requestId: 'waits' });
      const { streamId } = await client.until(({ requestId }) => requestId === 'waits');
      client.send({ type: 'stream_request', content: 'x', requestId: 'busy' });
      expect(await client.end('busy')).toMatchObject({ type: 'error', code: 'BUSY' });

      await change({ 'streams-memory': { config: { maxRunning: 1, maxWaiting: 0 } } });
      client.send({ type: 'stream_request', content: 'x', requestId: 'full' });
      expect(await client.end('full')).toMatchObject({ type: 'error', code: 'QUEUE_FULL' });
      await change({});
      expect(await ask()).toBe('1 x');
      client.send({ type: 'cancel', streamId });

      const submit = () =>
        call(server.port, { method: 'POST', path: '/tasks/slow', headers: json, body: '{"input":null}' });
      expect((await submit()).status).toBe(202);
      await change({ 'tasks-tinypool': { config: { mainConcurrency: 1, queueLimit: 0 } } });
      expect((await submit()).status).toBe(503);

      const statusFor = async (headers: Readonly<Record<string, string>>) =>
        (await call(server.port, { path: '/health', headers })).status;
      expect(await statusFor({ host: 'bee.example' })).toBe(421);
      await change({ 'transport-uws': { config: { allowedHosts: ['bee.example'], maxConnections: 1 } } });
      expect(await statusFor({ host: 'bee.example' })).toBe(200);
      const second = await WsClient.connect(`${server.ws}/second`);
      expect(await second.closed).toMatchObject({ code: 1013 });
      await change({ 'transport-uws': { config: { basePath: '/hive' } } });
      expect((await call(server.port, { path: '/hive/health' })).status).toBe(200);
      expect(await statusFor({ host: 'bee.example' })).toBe(421);

      expect(await ask()).toBe('1 x');
      await client.close();
      expect(await server.stop()).toBe(0);
    });

    it('lock a key out that is gone, and no other one', async () => {
      const entry = (user: string) => ({
        user,
        sha256: createHash('sha256').update(`key of ${user}`).digest('hex'),
      });
      const keys = (...users: readonly string[]) => ({
        'access-keys': { config: { keys: users.map(entry) } },
      });
      const { server, change } = await start(transport, keys('ann', 'bob'));
      const connect = (user: string) =>
        WsClient.connect(`${server.ws}/${user}`, { headers: { authorization: `Bearer key of ${user}` } });
      const [ann, bob] = await Promise.all([connect('ann'), connect('bob')]);
      expect(await change(keys('ann', 'eve'))).toEqual([expect.stringMatching('^update access-keys keys')]);
      expect(await bob.closed).toMatchObject({ code: 4401 });
      expect(textOf(await ann.ask({ content: 'x' }))).toBe('1 x');
      const eve = await connect('eve');
      expect(textOf(await eve.ask({ content: 'x' }))).toBe('1 x');
      for (const client of [ann, eve]) await client.close();
      expect(await server.stop()).toBe(0);
    });
  },
);
