import type { AgentStatus, Logger, Undo } from '#kernel';

/** The server answers first: what clients of model servers load the first time they are used takes a while. */
const firstLookMs = 100;

/** Says soon after the start, once, which agents can answer. Undone, it no longer looks. */
export function firstLook(statuses: () => Promise<readonly AgentStatus[]>, logger: Logger): Undo {
  const look = async () => {
    for (const { name, healthy, detail } of await statuses())
      if (healthy) logger.info({ agent: name }, 'agent ready');
      else logger.warn({ agent: name, detail }, 'agent not available; others answer in its place');
  };
  const timer = setTimeout(() => void look(), firstLookMs);
  return () => clearTimeout(timer);
}
