import { describe, expect, it } from 'vitest';
import { version } from '../../kernel/sdk/version.js';
import { runWaggle, startServer } from '../support/server.js';

/** The cells of the table, by plugin. */
function cells(stdout: string): Readonly<Record<string, readonly string[]>> {
  const rows = stdout.trim().split('\n').slice(1);
  return Object.fromEntries(rows.map((row) => row.split(/ {2,}/)).map(([id, ...rest]) => [id, rest]));
}

const broken = {
  'extensions/loud.mjs': `throw new Error('not today'); // instead of its apiVersion`,
  'extensions/quiet.mjs': `export default { name: 'q', version: '9.9.9', apiVersion: 1, setup() { throw new Error('never'); } };`,
};

describe('waggle plugins', () => {
  it('shows what each plugin brings, and opens nothing', async () => {
    const server = await startServer();
    // A port that is taken: opening it would fail.
    const run = await runWaggle('plugins', { env: { PORT: String(server.port) } });
    expect(run.stderr + (await run.exited)).toBe('0');
    const ms = expect.stringMatching(/^\d+\.\d ms$/);
    expect(cells(run.stdout)).toMatchObject({
      'transport-uws': [version, 'active', ms, 'transport, access', '-'],
      'agent-eliza': [version, 'active', ms, '-', 'agent eliza'],
      'endpoint-ws': [version, 'active', ms, 'clients', expect.stringMatching(/WS \/ws\/\{client_id\}/)],
    });
    expect(run.logs).toEqual([]);
    await server.stop();
  });

  it('shows what fails and why, beside all that does not', async () => {
    const run = await runWaggle('plugins', { files: broken });
    expect(await run.exited).toBe(1);
    expect(run.stderr).toBe('');
    expect(cells(run.stdout)).toMatchObject({
      loud: ['-', 'failed', expect.any(String), '-', 'plugin "loud" failed during import: not today'],
      quiet: ['9.9.9', 'failed', expect.any(String), '-', 'plugin "quiet" failed during setup: never'],
      'agent-eliza': [version, 'active', expect.any(String), '-', 'agent eliza'],
    });
  });

  it('names the plugin that is missing when others cannot do without it', async () => {
    const run = await runWaggle('plugins', {
      config: { plugins: { 'agent-queen': { use: './queen.mjs' } } },
      files: { 'queen.mjs': `throw new Error('not today');` },
    });
    expect(await run.exited).toBe(1);
    expect(run.stdout).toBe('');
    expect(run.stderr).toBe('waggle: plugin "agent-queen" failed during import: not today\n');
  });

  it('ends with 78 and all issues of a bad config', async () => {
    const run = await runWaggle('plugins', {
      config: { plugins: { 'agent-eliza': { config: { sed: 1 } } } },
    });
    expect(await run.exited).toBe(78);
    expect(run.stderr).toContain('agent-eliza.sed: unknown key');
  });

  it('ends although a plugin left something running', async () => {
    const leaky = `setInterval(() => {}, 60_000); export default { name: 'l', apiVersion: 1, setup() {} };`;
    const run = await runWaggle('plugins', { files: { 'extensions/leaky.mjs': leaky } });
    expect(await run.exited).toBe(0);
  });
});
