import { percentiles } from '../client/percentile.mjs';

/**
 * Serves the rig: keeps `inFlight` tasks of `us` microseconds under way for `ms` milliseconds.
 * @param {(us: number) => Promise<unknown>} submit
 */
export function serveRuns(submit) {
  process.on('message', async ({ do: action, ...how }) => {
    try {
      process.send(action === 'ready' ? { ready: (await submit(0)) === 0 } : await run(submit, how));
    } catch (error) {
      process.send({ error: error.stack });
    }
  });
  process.on('disconnect', () => process.exit());
}

async function run(submit, { inFlight, us, ms }) {
  const took = [];
  let issues = 0;
  const begun = performance.now();
  const until = begun + ms;
  const worker = async () => {
    for (let at = performance.now(); at < until; ) {
      if ((await submit(us)) !== us) issues++;
      const now = performance.now();
      took.push(now - at);
      at = now;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const { p50, p99 } = percentiles(took, [50, 99]);
  return {
    tasks: took.length,
    issues,
    ms: performance.now() - begun,
    p50Us: p50 * 1000,
    p99Us: p99 * 1000,
  };
}
