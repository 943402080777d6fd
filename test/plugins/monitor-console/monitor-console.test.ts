import { describe, expect, it } from 'vitest';
import { Overview, TaskEngine } from '../../../kernel/index.js';
import monitorConsole from '../../../plugins/monitor-console/index.js';
import transportNode from '../../../plugins/transport-node/index.js';
import { eventually } from '../../support/eventually.js';
import { plugin, recordingLogger, startKernel } from '../../support/kernel.js';
import { leakCheck } from '../../support/leaks.js';
import { figures } from './figures.js';

const often = { config: { table: 'off', intervalMs: 5 } } as const;

/** A task engine that does nothing and says so. */
const tasks = plugin('tasks', {
  provides: [TaskEngine],
  setup(ctx) {
    const engine: Pick<TaskEngine, 'stats'> = { stats: figures({ waiting: 7 }) };
    ctx.provide(TaskEngine, engine as TaskEngine);
  },
});

describe('monitor-console', () => {
  it('needs nothing, and leaves out what it cannot know', async () => {
    const { logger, lines } = recordingLogger();
    const kernel = await startKernel([[monitorConsole, often]], { logger });
    const line = await eventually(() => lines.find(({ msg }) => msg === 'stats') ?? Promise.reject());
    expect(line).toEqual({
      level: 'info',
      time: expect.any(String),
      plugin: 'monitor-console',
      uptimeMs: expect.any(Number),
      eventLoop: expect.any(Object),
      memory: expect.any(Object),
      msg: 'stats',
    });
    await kernel.stop();
  });

  it('tells of whatever runs, also where that starts after it', async () => {
    const { logger, lines } = recordingLogger();
    const added: string[] = [];
    const overview = plugin('overview', {
      provides: [Overview],
      setup: (ctx) =>
        void ctx.provide(Overview, {
          add(name, path) {
            added.push(`${name} ${path}`);
            return () => void added.pop();
          },
        }),
    });
    const transport = { host: '127.0.0.1', port: 0, maxConnections: 9 };
    const kernel = await startKernel(
      [[monitorConsole, often], tasks, overview, [transportNode, { config: transport }]],
      { logger },
    );
    const line = await eventually(() => lines.find(({ msg }) => msg === 'stats') ?? Promise.reject());
    expect(line).toMatchObject({ connections: { open: 0, limit: 9 }, tasks: { waiting: 7 } });
    expect(added).toEqual(['stats /stats']);
    await kernel.unload('monitor-console');
    expect(added).toEqual([]);
    await kernel.stop();
  });

  it('says nothing more once it has stopped, and leaves nothing behind', async () => {
    const leaks = leakCheck();
    const { logger, lines } = recordingLogger();
    const told = () => lines.filter(({ msg }) => msg === 'stats').length;
    const kernel = await startKernel([[monitorConsole, often], plugin('other')], { logger });
    await eventually(() => expect(told()).toBeGreaterThan(1));
    const report = () => kernel.inspect().plugins.find(({ id }) => id === 'monitor-console');
    expect(report()?.effects).toEqual(['event loop lag', 'onReady', 'stats every 5 ms']);
    await kernel.unload('monitor-console');
    expect(report()).toBeUndefined();
    await leaks.settled();
    await kernel.stop();
  });

  it.each([
    [{ intervalMs: 0 }, 'intervalMs'],
    [{ tableIntervalMs: '1s' }, 'tableIntervalMs'],
    [{ table: 'yes' }, 'table'],
  ])('refuses %j', async (config, key) => {
    const starting = startKernel([[monitorConsole, { config }]]);
    await expect(starting).rejects.toMatchObject({
      code: 'KERNEL_CONFIG_INVALID',
      message: expect.stringContaining(`monitor-console.${key}`),
    });
  });
});
