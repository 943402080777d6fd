import type { Usage } from '#kernel';

/** The tokens of two turns together. */
export function sum(one: Usage | undefined, other: Usage | undefined): Usage | undefined {
  if (!one || !other) return one ?? other;
  const total: Record<string, number> = { ...one };
  for (const [key, value] of Object.entries(other)) total[key] = (total[key] ?? 0) + Number(value);
  return total as unknown as Usage;
}
