import type { AgentStatus, KernelReport } from '#kernel';

/** The response of `GET /ready`. */
export interface Readiness {
  readonly status: 'ready' | 'not ready';
  readonly state: string;
  readonly reasons: readonly string[];
  readonly agents: readonly AgentStatus[];
}

/** Readiness for new work, with the reasons if there is none. */
export function readiness(
  kernel: KernelReport,
  agents: readonly AgentStatus[] | undefined,
  storeTrouble: string | undefined,
  clusterTrouble: string | undefined,
  limitsTrouble: string | undefined,
): Readiness {
  const { state } = kernel;
  const reasons = [
    ...(state === 'ready' || state === 'degraded' ? [] : [`the server is ${state}`]),
    ...kernel.plugins.filter((plugin) => plugin.state === 'failed').map(({ id }) => `plugin "${id}" failed`),
    ...(!agents || agents.some(({ healthy, namedOnly }) => healthy && !namedOnly)
      ? []
      : ['no agent is healthy']),
    ...(storeTrouble === undefined ? [] : [`conversations are not kept: ${storeTrouble}`]),
    ...(clusterTrouble === undefined ? [] : [`cut off from the other servers: ${clusterTrouble}`]),
    ...(limitsTrouble === undefined ? [] : [`usage is not counted: ${limitsTrouble}`]),
  ];
  // Without the details of hundreds of models: it is asked for every few seconds.
  const listed = (agents ?? []).map(({ modelDetails: _, ...agent }) => agent);
  return { status: reasons.length === 0 ? 'ready' : 'not ready', state, reasons, agents: listed };
}
