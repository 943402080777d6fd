import type { Agent, AgentStatus, Logger, ReadonlyRegistry, Undo } from '#kernel';
import { nearest } from '#sdk';
import type { Config } from './config.js';

/** The server answers first: what clients of model servers load on first use takes a while. */
const delayMs = 100;

/** Logs soon after the start, once, which agents can answer. */
export function reportAgents(statuses: () => Promise<readonly AgentStatus[]>, logger: Logger): Undo {
  const report = async () => {
    for (const { name, healthy, detail } of await statuses())
      if (healthy) logger.info({ agent: name }, 'agent ready');
      else logger.warn({ agent: name, detail }, 'agent not available; others answer in its place');
  };
  const timer = setTimeout(() => void report(), delayMs);
  return () => clearTimeout(timer);
}

/** Warns of agents in the config that no plugin has registered: they are skipped, whether mistyped or registered later. */
export function warnOfUnknown(
  { candidates, delegates, routes }: Pick<Config, 'candidates' | 'delegates' | 'routes'>,
  agents: ReadonlyRegistry<Agent>,
  logger: Pick<Logger, 'warn'>,
): void {
  const known = [...agents].map(({ name }) => name);
  const named = { candidates: candidates.flat(), delegates, routes: routes.map(({ agent }) => agent) };
  for (const [key, names] of Object.entries(named))
    for (const agent of new Set(names)) {
      if (agent.includes('*') || known.includes(agent)) continue;
      const meant = nearest(agent, known);
      logger.warn(
        { agent, known, ...(meant && { meant }) },
        `no plugin has registered this agent of \`${key}\``,
      );
    }
}
