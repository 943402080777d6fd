import { expect } from 'vitest';

/** How long a trivial request to this address takes now: what "at once" is measured against, because machines differ. */
export async function roundTripMs(url: string): Promise<number> {
  const from = performance.now();
  await (await fetch(url)).text();
  return Math.max(1, performance.now() - from);
}

/** Expects a wait to be one for messages to pass, not for a timer: some hundreds of round trips at the most. */
export function expectAtOnce(elapsedMs: number, baseMs: number): void {
  expect(elapsedMs).toBeLessThan(250 * baseMs);
}
