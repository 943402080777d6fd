import { vi } from 'vitest';

/** Looks again until it does not fail. The bound is for what hangs: a machine that is busy may take its time. */
export function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, { timeout: 15_000, interval: 20 });
}
