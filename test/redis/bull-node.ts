import type { Cluster, Logger, TaskDefinition } from '#kernel';
import { Bus } from '../../kernel/kernel-bus.js';
import { Registry } from '../../kernel/registry.js';
import { BullEngine } from '../../plugins/tasks-bullmq/bull-engine.js';
import { type Config, config } from '../../plugins/tasks-bullmq/config.js';
import type { BullTimes } from '../../plugins/tasks-bullmq/times.js';
import { recordingLogger } from '../support/kernel.js';

/** An engine on a Redis server, without a kernel, that connects in the background, and the registry that feeds it. */
export function createBullNode(settings: Partial<Config>, cluster: Cluster, times?: BullTimes) {
  const { logger, lines }: { logger: Logger; lines: ReturnType<typeof recordingLogger>['lines'] } =
    recordingLogger();
  const bus = new Bus((error) => {
    throw error;
  });
  const engine = new BullEngine({
    ...{ config: config.parse({ workers: 2, ...settings }), cluster, bus, logger },
    ...(times && { times }),
  });
  void engine.start();
  engine.open();
  const tasks = new Registry<TaskDefinition>('task');
  tasks.watch(engine);
  return { engine, tasks, bus, lines };
}
