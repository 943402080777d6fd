import type { KernelReport, KernelState, PluginState } from '#kernel';
import type { Metrics } from './metrics.js';

const kernelStates: readonly KernelState[] = ['starting', 'ready', 'degraded', 'draining', 'stopping'];
const pluginStates: readonly PluginState[] = [
  'pending',
  'starting',
  'active',
  'stopping',
  'stopped',
  'failed',
];

/** The server and its plugins: 1 for the state that each is in, 0 for the others. */
export function stateMetrics(metrics: Metrics, version: string, inspect: () => KernelReport): void {
  metrics.gauges('waggle_info', 'Always 1; the version is a label', ['version'], () => [[{ version }, 1]]);
  metrics.gauges('waggle_state', 'The state of the server', ['state'], () => {
    const now = inspect().state;
    return kernelStates.map((state) => [{ state }, state === now ? 1 : 0] as const);
  });
  metrics.gauges('waggle_plugin_state', 'The states of the plugins', ['plugin', 'state'], () =>
    inspect().plugins.flatMap(({ id: plugin, state: now }) =>
      pluginStates.map((state) => [{ plugin, state }, state === now ? 1 : 0] as const),
    ),
  );
}
