import { setMaxListeners } from 'node:events';
import { timerMs } from './duration.js';
import type { PluginInstance } from './instance.js';
import type { Logger } from './logger.js';

/** Limits of a drain: for running work, and after that for cancelling the rest. */
export interface DrainBounds {
  readonly drainTimeoutMs: number;
  readonly pluginTimeoutMs: number;
}

/** Runs the drain hooks of all plugins at once. A hook that outlives the limits is logged and left. */
export async function drain(
  plugins: readonly PluginInstance[],
  { drainTimeoutMs, pluginTimeoutMs }: DrainBounds,
  logger: Logger,
): Promise<void> {
  const deadline = new AbortController();
  setMaxListeners(0, deadline.signal); // Any number of plugins may wait for it.
  const pending = new Set(
    plugins.flatMap(({ id, hooks }) => [...hooks.drain].map((hook) => ({ plugin: id, hook }))),
  );
  const drains = [...pending].map(async (each) => {
    const { plugin, hook } = each;
    try {
      await hook(deadline.signal, drainTimeoutMs);
    } catch (err) {
      logger.warn({ err, plugin }, 'its drain hook failed');
    }
    pending.delete(each);
  });
  const timers: NodeJS.Timeout[] = [];
  const over = new Promise<void>((resolve) => {
    timers.push(setTimeout(() => deadline.abort(), drainTimeoutMs));
    timers.push(setTimeout(resolve, timerMs(drainTimeoutMs + pluginTimeoutMs)));
  });
  await Promise.race([Promise.all(drains), over]);
  for (const timer of timers) clearTimeout(timer);
  for (const { plugin } of pending) logger.warn({ plugin }, 'its drain hook did not end in time');
}
