import { isJsonObject } from './json.js';

/**
 * Figures of several processes as one. Numbers are added, at any depth; of durations, `…Ms`, the longest counts. Everything
 * else is as in the first.
 */
export function sumFigures<T extends object>(all: readonly [T, ...T[]]): T {
  return all.reduce((sum, each) => both(sum, each) as T);
}

function both(a: unknown, b: unknown, key = ''): unknown {
  if (typeof a === 'number' && typeof b === 'number')
    return /Ms$/.test(key) ? Math.max(a, b) : rounded(a + b);
  if (!isJsonObject(a) || !isJsonObject(b)) return a ?? b;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...keys].map((each) => [each, both(a[each], b[each], each)]));
}

/** Without the traces of binary fractions: 0.1 and 0.2 are 0.3. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
