import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { lowPort } from '../support/free-port.js';
import { example, pageText } from '../support/pages.js';
import { only, runWaggle, startServer } from '../support/server.js';

const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** A tool that repeats its text, and a route that runs any task. */
const extension = (name: string) => `
export default {
  name: '${name}',
  apiVersion: 1,
  requires: { transport: Symbol.for('waggle:transport'), tasks: Symbol.for('waggle:tasks') },
  setup(ctx, { transport, tasks }) {
    ctx.registerTask({
      name: 'text:repeat', lane: 'main', exposed: true, tool: true,
      input: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }),
        jsonSchema: { input: () => ({ type: 'object', properties: { text: { type: 'string' } } }) } } },
      run: ({ text }, { userId }) => text.repeat(2) + ' for ' + userId,
    });
    transport.route({ method: 'POST', path: '/run/{task}', async handler(request, reply) {
      const run = await tasks.submit(request.params.task, await request.json());
      reply.json(200, await run.result);
    } });
  },
};
`;

describe('the pages about MCP', () => {
  it('show a call with curl that is answered', async () => {
    const server = await startServer({ config: example('endpoint-mcp.yaml') });
    const [, body = ''] =
      /^curl http:\/\/localhost:9797\/mcp .*\n {2}'(.*)'$/m.exec(
        pageText('plugins/endpoint-mcp/README.md'),
      ) ?? [];
    const answer = await fetch(`${server.url}/mcp`, { method: 'POST', headers: json, body });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toMatch(/"text":"\w+/);
    expect(await server.stop()).toBe(0);
  });

  it('show a config that is good', async () => {
    const run = await runWaggle('check', { config: example('tools-mcp.yaml') });
    expect(run.stderr + (await run.exited)).toBe('0');
  });
});

const chat = ['store-memory', 'agent-eliza', 'tasks-tinypool', 'agent-queen', 'streams-memory'];

describe('a server without MCP servers and clients', () => {
  it('loads the packages of the protocol with the first request', async () => {
    const plugins = only('transport-uws', ...chat, 'endpoint-health', 'endpoint-mcp');
    const server = await startServer({ env: { NODE_DEBUG: 'esm' }, config: { plugins } });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect(server.stderr).not.toContain('@modelcontextprotocol');
    const body = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
    expect((await fetch(`${server.url}/mcp`, { method: 'POST', headers: json, body })).status).toBe(200);
    await expect.poll(() => server.stderr).toContain('@modelcontextprotocol/server');
    expect(server.stderr).not.toContain('@modelcontextprotocol/client');
    expect(await server.stop()).toBe(0);
  });
});

describe('two servers', () => {
  it('lend their tools to each other, also across a restart', async () => {
    const key = 'wk_of-the-first-server';
    const keys = [{ user: 'first', sha256: createHash('sha256').update(key).digest('hex') }];
    const port = await lowPort();
    const lend = () =>
      startServer({
        files: { 'repeat.mjs': extension('repeat') },
        env: { PORT: String(port) },
        config: { plugins: { repeat: { use: './repeat.mjs' }, 'access-keys': { config: { keys } } } },
      });
    const lender = await lend();
    const hub = { url: `${lender.url}/mcp`, headers: { authorization: `Bearer ${key}` } };
    const borrower = await startServer({
      files: { 'repeat.mjs': extension('runs') },
      config: {
        plugins: {
          runs: { use: './repeat.mjs' },
          'tools-mcp': { config: { servers: { hub }, reconnectMaxMs: 50, reconnectWaitMs: 20_000 } },
        },
      },
    });
    const ask = async () =>
      (
        await fetch(`${borrower.url}/run/mcp:hub:text_repeat`, {
          method: 'POST',
          headers: json,
          body: '{"text":"ab"}',
        })
      ).json();
    await borrower.untilLog(({ msg }) => msg === 'the MCP server is connected');
    expect(await ask()).toBe('abab for first');
    expect(await lender.stop()).toBe(0);
    await borrower.untilLog(({ msg }) => msg.startsWith('the MCP server cannot be used'));
    const waiting = ask();
    const again = await lend();
    expect(await waiting).toBe('abab for first');
    expect(JSON.stringify(borrower.logs)).not.toContain(key);
    expect(await borrower.stop()).toBe(0);
    expect(await again.stop()).toBe(0);
  });
});
