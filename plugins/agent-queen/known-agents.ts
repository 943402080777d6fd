import type { Agent, Logger, ReadonlyRegistry } from '#kernel';
import { nearest } from '#sdk';

/** Warns of candidates that no plugin has registered: they are passed over, a typo as well as one that comes later. */
export function warnOfUnknown(
  candidates: readonly string[],
  agents: ReadonlyRegistry<Agent>,
  logger: Pick<Logger, 'warn'>,
): void {
  const known = [...agents].map(({ name }) => name);
  for (const agent of new Set(candidates)) {
    if (known.includes(agent)) continue;
    const meant = nearest(agent, known);
    logger.warn(
      { agent, known, ...(meant && { meant }) },
      'no plugin has registered this agent of `candidates`',
    );
  }
}
