import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { eventually } from '../../support/eventually.js';
import { ScriptedModel, say, use } from '../../support/scripted-model.js';
import { ToolHive } from '../../support/tool-hive.js';
import { textOf } from '../../support/ws-client.js';

const server = new ToolHive();
const fixture = (file: string) => new URL(`../../fixtures/tasks/${file}`, import.meta.url);
const input = z.looseObject({});
const onThread = (name: string, file: string, more: object = {}) => ({
  ...{ name, lane: 'worker' as const, tool: true as const, input, module: fixture(file) },
  ...more,
});
const threads = { config: { 'tasks-tinypool': { workers: 2, cancelGraceMs: 100 } } };

describe('a tool on a thread', () => {
  it('that ends it, loops for ever or returns 50 MB is one failed result each, and the answer goes on', async () => {
    const model = new ScriptedModel('m', [
      [
        use('exit', { how: 'exit' }, 'c1'),
        use('loop', {}, 'c2'),
        use('huge', {}, 'c3'),
        use('fine', {}, 'c4'),
      ],
      [say('All done.')],
    ]);
    const fine = { name: 'fine', lane: 'main' as const, tool: true as const, input, run: () => 'fine' };
    await server.start(
      [model],
      [
        onThread('exit', 'kills.mjs'),
        onThread('loop', 'loop.mjs', { timeoutMs: 200 }),
        onThread('huge', 'huge.mjs'),
        fine,
      ],
      {},
      threads,
    );
    const frames = await server.ask();
    const results = frames.flatMap(({ type, id, output, error }) =>
      type === 'streaming_tool_result' ? [[id, output ?? (error as { code: string }).code]] : [],
    );
    expect(Object.fromEntries(results)).toEqual({
      c1: 'TASK_CRASHED',
      c2: 'TASK_TIMEOUT',
      c3: 'TOO_LARGE',
      c4: 'fine',
    });
    expect(textOf(frames)).toBe('All done.');
  });

  it('is stopped by a cancel, thread and all where it does not look', async () => {
    const model = new ScriptedModel('m', [[use('loop', {}, 'c1'), use('polite', {}, 'c2')]]);
    await server.start(
      [model],
      [onThread('loop', 'loop.mjs'), onThread('polite', 'until-aborted.mjs')],
      {},
      threads,
    );
    const client = await server.client();
    client.send({ type: 'stream_request', content: 'Hi' });
    await eventually(() => expect(server.hive.tasks.stats.workers.busy).toBe(2));
    const { streamId } = await client.until(({ type }) => type === 'streaming_start');
    client.send({ type: 'cancel', streamId });
    const receipt = await client.until(({ type }) => type === 'cancelled');
    expect(receipt).toMatchObject({ stopped: { agents: 1, tools: 2 } });
    expect(receipt).not.toHaveProperty('unstopped');
    expect(server.hive.tasks.stats.workers.busy).toBe(0);
  });
});
