import type { EngineUser } from '#kernel';
import type { Metrics } from './metrics.js';

/** Metrics of the engine that several servers share. `users`: the services that may stand on it, by their label. */
export function engineMetrics(
  metrics: Metrics,
  users: Readonly<Record<string, EngineUser | undefined>>,
): void {
  const name = 'waggle_engine_commands_total';
  metrics.totals(name, 'Commands sent to the engine, by service and name', ['service', 'kind'], () =>
    Object.entries(users).flatMap(([service, user]) =>
      Object.entries(user?.engineCommands ?? {}).map(([kind, count]) => [{ service, kind }, count] as const),
    ),
  );
}
