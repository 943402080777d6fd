import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { tempFolder } from '../support/kernel.js';
import { type RunningServer, startServer } from '../support/server.js';
import { text } from './contract.js';
import { installEmbeddingModel } from './embedding-model.js';
import { RealServer } from './real-server.js';

/** Where `up` unpacks its programs, which it has done before the first server answers. */
function command(): string {
  const cache = process.env.WAGGLE_REAL_CACHE;
  if (cache) return join(cache, 'bin/ollama');
  const name = readdirSync(tmpdir()).find((each) => each.startsWith(`waggle-real-${userInfo().uid}-`));
  return join(tmpdir(), name ?? '', 'bin/ollama');
}

describe("Ollama's own command", () => {
  let ollama: RealServer;
  let server: RunningServer;
  beforeAll(async () => {
    ollama = await RealServer.start({ program: 'ollama' });
    await installEmbeddingModel(ollama.url, 'embedder');
    const config = { plugins: { 'agent-ollama': { config: { baseUrl: ollama.url, model: 'say' } } } };
    server = await startServer({ config });
  });
  afterAll(async () => {
    await server.stop();
    await ollama.close();
  });

  const run = async (...args: readonly string[]) => {
    const env = { PATH: process.env.PATH, HOME: tempFolder().path, OLLAMA_HOST: `127.0.0.1:${server.port}` };
    const running = promisify(execFile)(command(), args, { env });
    running.child.stdin?.end();
    return (await running).stdout;
  };
  /** Without what moves the cursor and breaks lines. */
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
  const plain = (printed: string) => printed.replace(/\u001b\[\d*D\u001b\[K\n|\u001b\[[?\d;]*[A-Za-z]/g, '');

  it('lists, shows and counts the models', async () => {
    const listed = await run('list');
    expect(listed.split('\n').map((line) => line.split(/\s/)[0])).toEqual(
      expect.arrayContaining(['NAME', 'queen', 'ollama', 'ollama/say', 'ollama/think']),
    );
    expect(await run('ps')).toMatch(/^NAME.*\n$/);
    expect(await run('show', 'queen')).toMatch(/context length +4096/);
    expect(await run('show', 'ollama/think:latest')).toMatch(/Capabilities\s+completion\s+thinking/);
  });

  it.each(['queen', 'ollama/say'])('runs %s', async (model) => {
    expect(plain(await run('run', model, 'hi')).replace(/\s/g, '')).toContain(
      text.slice(0, 60).replace(/\s/g, ''),
    );
  });

  it('shows thinking apart from the answer', async () => {
    expect(plain(await run('run', 'ollama/think', 'hi'))).toMatch(/Let me see.*done thinking.*Hello, world/s);
  });

  it('makes embeddings, with the model and with the Queen', async () => {
    // Ollama states what it can do only when it is asked for it.
    await eventually(async () => {
      expect(await run('show', 'ollama/embedder')).toMatch(/Capabilities\s+embedding\s/);
    });
    const vector = JSON.parse(await run('run', 'ollama/embedder', 'hi'));
    expect(vector.length).toBeGreaterThan(1);
    const body = JSON.stringify({ model: 'queen', input: ['hi'] });
    const made = await (await fetch(`${server.url}/api/embed`, { method: 'POST', body })).json();
    expect(made).toMatchObject({ model: 'queen/ollama' });
    expect(made.embeddings[0]).toHaveLength(vector.length);
  });

  it.each([
    [['run', 'nope', 'hi'], /manages no models/],
    [['pull', 'x'], /manages no models/],
    [['rm', 'queen'], /manages no models/],
  ])('says what is not offered: %j', async (args, message) => {
    await expect(run(...args)).rejects.toMatchObject({ stderr: expect.stringMatching(message) });
  });
});
