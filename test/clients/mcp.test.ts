import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempFolder } from '../support/kernel.js';
import { type RunningServer, startServer } from '../support/server.js';
import { runTools } from '../support/tool-tasks.js';
import { casesOf } from './program.js';

/** Tasks that are exposed tools. */
const extension = `
const input = (properties, required) => ({ '~standard': {
  version: 1, vendor: 'test',
  validate: (value) => required.every((key) => typeof value?.[key] === 'string')
    ? { value } : { issues: [{ message: 'expected a text', path: required }] },
  jsonSchema: { input: () => ({ type: 'object', properties, required }) },
} });
export default {
  name: 'test-tools',
  apiVersion: 1,
  setup(ctx) {
    const shared = { lane: 'main', exposed: true, tool: true };
    ctx.registerTask({ ...shared, name: 'text:count', input: input({ text: { type: 'string' } }, ['text']),
      run: ({ text }, call) => { call.progress({ percent: 50 }); return text.split(' ').length; } });
    ctx.registerTask({ ...shared, name: 'text:wait', input: input({}, []), run: (_, call) => {
      call.progress(1);
      return new Promise((_resolve, reject) => call.signal.addEventListener('abort', () => reject(new Error('stopped'))));
    } });
  },
};
`;

describe.each(['uws', 'node'] as const)('the former official MCP client, over transport-%s', (transport) => {
  let server: RunningServer;
  let got: ReadonlyMap<string, unknown>;
  beforeAll(async () => {
    server = await startServer({
      transport,
      files: { 'test-tools.mjs': extension },
      config: {
        plugins: {
          'test-tools': { use: './test-tools.mjs' },
          'endpoint-mcp': { config: { agents: ['eliza'] } },
        },
      },
    });
    got = await casesOf('mcp-v1', [server.url]);
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  it.each<[string, unknown]>([
    ['list', [['ask_eliza', 'text_count', 'text_wait'].map((name) => [name, 'object']), 'string']],
    ['a task', [false, '4', [{ progress: 50, total: 100 }]]],
    ['an agent', [false, true]],
    ['a mistake', [true, 'invalid request: input.text: expected string, got nothing']],
    ['a cancel', [expect.stringContaining('enough'), 1]],
  ])('%s', (name, wanted) => {
    expect(got.get(name)).toEqual(wanted);
  });
});

describe('the official example server, as a process', () => {
  const program = fileURLToPath(
    new URL('node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
  );

  it('has tools that are tasks', async () => {
    const config = { command: process.execPath, args: [program, 'stdio'], cwd: tempFolder().path };
    const { names, run, engine, kernel } = await runTools({ all: config }, { startWaitMs: 9000 });
    expect(names()).toEqual(expect.arrayContaining(['mcp:all:echo', 'mcp:all:get-sum']));
    expect(await run('mcp:all:echo', { message: 'hello' })).toBe('Echo: hello');
    expect(await run('mcp:all:get-sum', { a: 2, b: 3 })).toMatch(/5/);
    expect(await run('mcp:all:get-tiny-image')).toMatch(/\[image image\/png\]/);
    const slow = await engine.submit('mcp:all:trigger-long-running-operation', { duration: 0.2, steps: 2 });
    expect(await slow.result).toMatch(/completed/);
    expect(slow.progress).toMatchObject({ progress: expect.any(Number), total: 2 });
    await kernel.stop();
  });
});
