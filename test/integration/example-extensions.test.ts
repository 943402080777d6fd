import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../support/kernel.js';
import { runWaggle, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';

const examples = fileURLToPath(new URL('../fixtures/extensions', import.meta.url));

/** Outside of this repository, where nothing is installed. */
function copied(): string {
  const folder = join(tempFolder().path, 'extensions');
  mkdirSync(folder);
  cpSync(examples, folder, { recursive: true });
  return folder;
}

describe('the example of an agent with a config', () => {
  it('answers as its config says', async () => {
    const server = await startServer({
      config: { extensions: copied(), plugins: { 'agent-haiku': { config: { season: 'winter' } } } },
    });
    const client = await WsClient.connect(`${server.ws}/reader`);
    const frames = await client.ask({ content: 'Hi', agent: 'haiku' });
    expect(textOf(frames)).toMatch(/^Snow upon the hive .* bees $/);
    expect(frames.at(-1)).toMatchObject({
      type: 'streaming_end',
      agent: 'haiku',
      usage: { outputTokens: 16 },
    });
    await client.close();
    expect(await server.stop()).toBe(0);
  });

  it('stops in the middle of a poem', async () => {
    const server = await startServer({
      config: { extensions: copied(), plugins: { 'agent-haiku': { config: { wordDelayMs: 100 } } } },
    });
    const client = await WsClient.connect(`${server.ws}/reader`);
    client.send({ type: 'stream_request', content: 'Hi', agent: 'haiku' });
    const { streamId } = await client.until((frame) => frame.type === 'streaming_token');
    client.send({ type: 'cancel', streamId });
    await client.until((frame) => frame.type === 'cancelled');
    expect(textOf(client.frames)).not.toContain('others');
    await client.close();
    expect(await server.stop()).toBe(0);
  });

  it('is refused with every mistake in its config', async () => {
    const run = await runWaggle('check', {
      config: {
        extensions: copied(),
        plugins: { 'agent-haiku': { config: { season: 'autumn', wordDelayMs: -1, colour: 'red' } } },
      },
    });
    expect(await run.exited).toBe(78);
    expect(run.stderr.trim().split('\n')).toEqual([
      'test.yaml: agent-haiku.season: expected one of spring, winter',
      'test.yaml: agent-haiku.wordDelayMs: expected an integer >= 0',
      'test.yaml: agent-haiku.colour: unknown key',
    ]);
  });
});

describe('the example of a task on a thread', () => {
  it('gives each part and its progress, over a WebSocket', async () => {
    const server = await startServer({ config: { extensions: copied() } });
    const client = await WsClient.connect(`${server.ws}/counter`);
    client.send({ type: 'task', task: 'primes:list', input: { limit: 100 } });
    const { output } = await client.until((frame) => frame.type === 'task_result');
    expect(output).toEqual({ count: 25, largest: 97 });
    const told = client.frames.filter((frame) => frame.type === 'task_progress');
    const parts = told.filter((frame) => frame.partial).map((frame) => frame.progress);
    expect(parts).toHaveLength(25);
    expect(parts.slice(0, 5)).toEqual([2, 3, 5, 7, 11]);
    expect(told.findLast((frame) => !frame.partial)?.progress).toEqual({ percent: 97 });
    // Its own words for a mistake come from the thread as they are.
    client.send({ type: 'task', task: 'primes:list', input: { limit: 1 }, requestId: 'bad' });
    expect(await client.until((frame) => frame.type === 'error')).toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'invalid request: limit: expected an integer from 3 to 10,000',
    });
    await client.close();
    expect(await server.stop()).toBe(0);
  });
});

describe('waggle plugins', () => {
  it('shows both, with the versions of their packages and what they registered', async () => {
    const run = await runWaggle('plugins', { config: { extensions: copied() } });
    expect(await run.exited).toBe(0);
    expect(run.stdout).toMatch(/agent-haiku +1\.2\.0 +active .*agent haiku/);
    expect(run.stdout).toMatch(/task-primes +0\.3\.0 +active .*task primes:list/);
  });
});
