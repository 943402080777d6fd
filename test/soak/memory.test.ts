import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const script = fileURLToPath(new URL('../fixtures/memory/every-bound.mjs', import.meta.url));

interface Filled {
  readonly base: number;
  readonly after: readonly number[];
  readonly boundChars: number;
  readonly bounds: number;
  readonly flood: number;
  readonly chars: number;
  readonly refused: { readonly streams: number; readonly tasks: number };
}

it('a process in which every bound is full takes no more memory than those bounds say', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script]);
  const { base, after, boundChars, bounds, flood, chars, refused } = JSON.parse(stdout) as Filled;
  // It was filled: many times as much came as there is room for.
  expect(flood).toBeGreaterThan(10 * bounds * boundChars);
  expect(chars).toBeGreaterThan(boundChars / 2);
  expect(chars).toBeLessThanOrEqual(boundChars);
  expect(refused.streams).toBeGreaterThan(0);
  expect(refused.tasks).toBeGreaterThan(0);
  // A character has two bytes at the most; as much again for what the collector has not given back yet.
  for (const bytes of after) expect(bytes - base).toBeLessThan(4 * bounds * boundChars);
}, 60_000);
