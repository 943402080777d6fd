import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempFolder } from '../support/kernel.js';
import { events, type Script, type ScriptedServer, startScriptedServer } from '../support/scripted-server.js';
import { type RunningServer, startServer } from '../support/server.js';
import { runPython } from './python.js';

const settings = fileURLToPath(new URL('../schemathesis.toml', import.meta.url));
const boundMs = 240_000;

const key = 'wk_schemathesis';
const sha256 = createHash('sha256').update(key).digest('hex');
const keys = { 'access-keys': { config: { keys: [{ user: 'ann', sha256, scopes: ['admin'] }] } } };

const vectorsFor = (input: readonly string[]): Script => {
  const body = JSON.stringify({ data: input.map((_, index) => ({ index, embedding: [1, 0.5] })) });
  return { headers: { 'content-type': 'application/json' }, body };
};

describe.each([
  ['an open server', {}, ['--max-examples', '5']],
  [
    'a server that asks for keys',
    keys,
    [
      // That check adds bad credentials to these good ones, which then count; other tests leave them out.
      ...['--header', `X-API-Key: ${key}`, '--exclude-checks', 'ignored_auth'],
      // The same routes again: only some requests of each.
      ...['--phases', 'fuzzing', '--max-examples', '3'],
    ],
  ],
])('schemathesis, with %s', (_, access, options) => {
  let model: ScriptedServer;
  let server: RunningServer;
  beforeAll(async () => {
    const choices = (delta: object, finish_reason: string | null) => ({
      choices: [{ delta, finish_reason }],
    });
    const said = { body: events(choices({ content: 'Hi' }, null), choices({}, 'stop')) };
    model = await startScriptedServer(({ path, body: { input } }) =>
      path.endsWith('/embeddings') ? vectorsFor(input) : said,
    );
    const plugins = {
      'agent-openai': { config: { baseUrl: `${model.url}/v1`, imageUrls: 'pass' } },
      'agent-ollama': { enabled: false },
      'agent-eliza': { config: { wordDelayMs: 0 } },
      'agent-queen': { config: { candidates: ['openai'] } },
      ...access,
    };
    server = await startServer({ transport: 'node', config: { plugins } });
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    await model.close();
  });

  it(
    'finds no request that is answered otherwise than /openapi.json says',
    async () => {
      const args = ['--config-file', settings, 'run', `${server.url}/openapi.json`];
      const bounds = ['--checks', 'all', '--seed', '1', '--request-timeout', '30', ...options];
      const { code, stdout, stderr } = await runPython(['-m', 'schemathesis.cli', ...args, ...bounds], {
        cwd: tempFolder().path,
        timeoutMs: boundMs,
      });
      expect(`${stdout}${stderr}`).toContain('Test cases:');
      expect(code, stdout).toBe(0);
      // Requests have reached a model, and not only checks.
      expect(model.chats.length).toBeGreaterThan(0);
    },
    boundMs + 10_000,
  );
});
