import { type KernelReport, kernelStates, pluginStates } from '#kernel';
import type { Metrics } from './metrics.js';

/** States in which `/metrics` can be read. */
const liveStates = kernelStates.filter((state) => !['idle', 'stopped', 'failed'].includes(state));

/** States of the server and its plugins: 1 for the current state, 0 for the others. */
export function stateMetrics(metrics: Metrics, version: string, inspect: () => KernelReport): void {
  metrics.gauges('waggle_info', 'Always 1, with the version as a label', ['version'], () => [
    [{ version }, 1],
  ]);
  metrics.gauges('waggle_state', 'State of the server', ['state'], () => {
    const now = inspect().state;
    return liveStates.map((state) => [{ state }, state === now ? 1 : 0] as const);
  });
  metrics.gauges('waggle_plugin_state', 'States of the plugins', ['plugin', 'state'], () =>
    inspect().plugins.flatMap(({ id: plugin, state: now }) =>
      pluginStates.map((state) => [{ plugin, state }, state === now ? 1 : 0] as const),
    ),
  );
}
