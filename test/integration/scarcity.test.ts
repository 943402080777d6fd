import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.js';
import {
  type LogLine,
  only,
  type RunningServer,
  runWaggle,
  type ServerOptions,
  startServer,
} from '../support/server.js';
import { isThorough } from '../support/thorough.js';
import { call } from '../support/transport.js';

const transports = ['transport-uws', 'transport-node'];

/** A server on one transport, with figures in its log all the time. */
const on = (transport: string, config: object = {}) => ({
  plugins: {
    'transport-uws': { use: transport },
    'monitor-console': { config: { intervalMs: 20, table: 'off' } },
    ...config,
  },
});

/** Takes all descriptors, and gives them back when it is asked again. */
const hog = {
  'hog.js': `import { closeSync, openSync } from 'node:fs';
const transport = Symbol.for('waggle:transport');
const taken = [];
export default {
  name: 'hog', apiVersion: 1, requires: { transport },
  setup(ctx, { transport }) {
    const route = (path, act) => ctx.effect(path, () => transport.route({ method: 'GET', path, handler: (_, reply) => {
      act();
      reply.json(200, { taken: taken.length });
    } }));
    route('/take', () => {
      try { for (;;) taken.push(openSync('/dev/null', 'r')); } catch (error) { ctx.logger.info({ code: error.code }, 'all taken'); }
    });
    route('/give', () => { for (const each of taken.splice(0)) closeSync(each); });
  },
};`,
};

/** One connection that stays open. */
function keepAlive(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    close: () => agent.destroy(),
    async get(path: string): Promise<{ readonly status: number | undefined; readonly text: string }> {
      const [response] = await once(get({ port, host: '127.0.0.1', path, agent }), 'response');
      let text = '';
      for await (const part of response.setEncoding('utf8')) text += part;
      return { status: response.statusCode, text };
    },
  };
}

describe('with 96 descriptors', () => {
  const inFile = { 'store-memory': { use: 'store-sqlite' } };
  const extension = {
    files: { 'extensions/mine.ts': `export default { name: 'mine', apiVersion: 1, setup() {} };` },
  };
  const watch = { args: ['--watch'] };
  // Together they take more than each alone.
  const together: [string, ServerOptions][] = [
    ['transport-uws, an extension in TypeScript, --watch', { ...extension, ...watch }],
    ['transport-node, a file of conversations', { config: on('transport-node', inFile) }],
  ];
  const each: [string, ServerOptions][] = [
    ['transport-uws', { config: on('transport-uws') }],
    ['transport-node', { config: on('transport-node') }],
    ['a file of conversations', { config: on('transport-uws', inFile) }],
    ['an extension in TypeScript', extension],
    ['--watch', watch],
  ];
  it.each(isThorough ? [...together, ...each] : together)(
    'a server starts, answers and stops: %s',
    async (_, options) => {
      const server = await startServer({ ...options, shell: 'ulimit -n 96' });
      const { status } = await call(server.port, {
        method: 'POST',
        path: '/chat',
        body: '{"content":"Hallo","user_id":"u"}',
      });
      expect(status).toBe(200);
      expect((await call(server.port, { path: '/ui' })).status).toBe(200);
      expect(await server.stop()).toBe(0);
    },
  );
});

describe.each(transports)('when no descriptor is left, on %s', (transport) => {
  let server: RunningServer;
  beforeAll(async () => {
    const config = on(transport, { hog: { use: './hog.js' } });
    server = await startServer({ config, files: hog, shell: 'ulimit -n 128' });
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  it.each(['/health', '/ready', '/stats', '/metrics', '/ui/state', '/agents', '/tasks'])(
    '%s is answered, timers go on, and all is well afterwards',
    async (path) => {
      const client = keepAlive(server.port);
      // The charts begin with the first look at them.
      await client.get('/ui/state');
      const from = server.logs.length;
      await client.get('/take');
      const isNew = (line: LogLine) => server.logs.indexOf(line) >= from;
      await server.untilLog((line) => line.msg === 'all taken' && line.code === 'EMFILE' && isNew(line));
      const told = () => server.logs.filter(({ msg }) => msg === 'stats').length;
      const before = told();
      await server.untilLog(() => told() > before + 3);
      expect((await client.get(path)).status).toBe(200);
      await client.get('/give');
      client.close();
      expect((await call(server.port, { path: '/health' })).status).toBe(200);
    },
  );
});

describe('a log that cannot be written', () => {
  it.each([
    ['on a full disk', '/dev/full', /^waggle: the log cannot be written: ENOSPC.*\n$/],
    ['closed', '&-', /^/],
  ])('%s ends nothing', async (_, target, said) => {
    const port = String(await freePort());
    const run = await runWaggle('start', {
      config: on('transport-uws', only('transport-uws', 'endpoint-health', 'monitor-console')),
      env: { PORT: port, OLLAMA_HOST: 'http://127.0.0.1:9' },
      shell: `exec >${target}`,
    });
    await expect
      .poll(
        () =>
          call(Number(port), { path: '/ready' }).then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: 15_000 },
      )
      .toBe(200);
    expect(await run.stop()).toBe(0);
    expect(run.stderr).toMatch(said);
  });
});
