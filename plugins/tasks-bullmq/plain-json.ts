/** The place of a part that JSON cannot carry, with what is there: `.at: Date`. A property that is undefined counts as absent. */
export function notJson(value: unknown): string | undefined {
  return value === undefined ? undefined : find(value, '', new Set());
}

function find(value: unknown, at: string, above: Set<object>): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${at}: ${value}`;
  if (typeof value !== 'object') return `${at}: ${typeof value}`;
  const isList = Array.isArray(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  // Objects of another realm, as those from a thread, have another `Object.prototype`.
  if (!isList && prototype !== null && Object.getPrototypeOf(prototype) !== null)
    return `${at}: ${value.constructor?.name ?? 'object'}`;
  if (above.has(value)) return `${at}: contains itself`;
  above.add(value);
  for (const [key, part] of isList ? value.entries() : Object.entries(value)) {
    if (part === undefined && !isList) continue;
    const found = find(part, `${at}.${key}`, above);
    if (found !== undefined) return found;
  }
  above.delete(value);
  return undefined;
}
