import type { z } from 'zod';
import type { TaskDefinition } from '#kernel';
import { Bus } from '../../kernel/kernel-bus.js';
import { Registry } from '../../kernel/registry.js';
import { tasksConfig as config } from '../../kernel/sdk/tasks/config.js';
import { Engine } from '../../kernel/sdk/tasks/engine.js';
import { createLanes } from '../../kernel/sdk/tasks/lanes.js';
import { recordingLogger } from './kernel.js';

/** An engine without a kernel, and the registry that feeds it. */
export function createEngine(limits: z.input<typeof config> = {}) {
  const settings = config.parse(limits);
  const { logger, lines } = recordingLogger();
  const bus = new Bus((error) => {
    throw error;
  });
  const lanes = createLanes(settings, logger, {
    free: (lane) => engine.pump(lane),
    lost: (reason) => bus.emit('worker:lost', { reason }),
  });
  const engine: Engine = new Engine(settings, lanes, () => lanes.stats, bus, logger);
  lanes.open();
  const tasks = new Registry<TaskDefinition>('task');
  tasks.watch(engine);
  return { engine, tasks, bus, lines };
}
