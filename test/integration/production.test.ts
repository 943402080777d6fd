import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startFakeOllama } from '../support/fake-ollama/index.js';
import { tempFolder } from '../support/kernel.js';
import { runWaggle, startServer } from '../support/server.js';
import { WsClient } from '../support/ws-client.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const args = ['--profile', 'production'];

describe('the production profile', () => {
  it('is a good configuration', async () => {
    const run = await runWaggle('check', { args });
    expect(run.stderr + (await run.exited)).toBe('0');
    expect(run.stdout).toMatch(/store-memory {2}\(store-sqlite\) {2}provides conversations/);
    expect(run.stdout).not.toMatch(/agent-eliza|endpoint-docs/);
  });

  it.each(['default', 'development', 'production'])(
    'in the profile %s a store of others takes the one place',
    async (profile) => {
      const store = `import { z } from '${root}node_modules/zod/index.js';
const conversations = Symbol.for('waggle:conversations');
export default { name: 'mine', apiVersion: 1, config: z.strictObject({}).optional(), provides: [conversations],
  setup: (ctx) => void ctx.provide(conversations, {}) };`;
      const run = await runWaggle('check', {
        args: profile === 'default' ? [] : ['--profile', profile],
        files: { 'mine.mjs': store },
        config: { plugins: { 'store-memory': { use: './mine.mjs' } } },
      });
      expect(run.stderr + (await run.exited)).toBe('0');
      expect(run.stdout).toMatch(/store-memory {2}\(mine\) {2}provides conversations/);
      expect(run.stdout).not.toContain('store-sqlite');
    },
  );

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['0.0.0.0', 'localhost'],
    ['::', 'localhost'],
    ['::1', '[::1]'],
  ])('says where the page is, on %s', async (host, shown) => {
    const config = { plugins: { 'access-open': {} } };
    const server = await startServer({ args, env: { HOST: host }, config });
    const { url } = await server.untilLog(({ msg }) => msg === 'the chat page');
    expect(url).toBe(`http://${shown}:${server.port}/ui`);
    expect(await server.stop()).toBe(0);
  });

  it.each(['0.0.0.0', '::'])(
    'does not start on %s until an access plugin says who may call',
    async (host) => {
      const run = await runWaggle('start', { args, env: { HOST: host, PORT: '0' } });
      expect(await run.exited).toBe(1);
      expect(run.stdout + run.stderr).toMatch(/nothing decides who may call .*: load access-keys/);
    },
  );

  it('listens on this machine only, unless it is told otherwise', async () => {
    const server = await startServer({ args, env: { HOST: '' } });
    expect(await server.untilLog(({ msg }) => msg === 'listening')).toMatchObject({ host: '127.0.0.1' });
    expect(await server.stop()).toBe(0);
  });

  it('answers, remembers across a restart, and logs nothing but lines of JSON', async () => {
    const fake = await startFakeOllama();
    const env = { OLLAMA_HOST: fake.url, WAGGLE_DB: join(tempFolder().path, 'c.sqlite') };
    const first = await startServer({ args, env });
    const client = await WsClient.connect(`${first.ws}/ann`);
    const frames = await client.ask({ content: 'Hallo', conversationId: 'c' });
    expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', agent: 'ollama' });
    await client.close();
    expect((await fetch(`${first.url}/ready`)).status).toBe(200);
    expect((await fetch(`${first.url}/docs`)).status).toBe(404);
    expect((await fetch(`${first.url}/ui`)).status).toBe(200);
    expect((await fetch(`${first.url}/ui/inspector`)).status).toBe(404);
    expect(await first.stop()).toBe(0);
    expect(first.stderr).toBe('');
    expect(first.stdout.trimEnd().split('\n')).toHaveLength(first.logs.length);

    const second = await startServer({ args, env });
    const { conversations } = (await (await fetch(`${second.url}/conversations?user_id=ann`)).json()) as {
      readonly conversations: readonly object[];
    };
    expect(conversations).toMatchObject([{ conversation_id: 'c', title: 'Hallo', messages: 2 }]);
    expect(await second.stop()).toBe(0);
    await fake.close();
  });

  it('says that it cannot answer where no model is reachable', async () => {
    const server = await startServer({ args });
    const answer = await fetch(`${server.url}/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"content":"Hallo","user_id":"ann"}',
    });
    expect([answer.status, await answer.json()]).toMatchObject([
      503,
      { error: { code: 'AGENT_UNAVAILABLE' } },
    ]);
    expect((await fetch(`${server.url}/ready`)).status).toBe(503);
    expect(await server.stop()).toBe(0);
  });
});
