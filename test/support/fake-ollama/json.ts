const escapes = new Map([
  ['<', '\\u003c'],
  ['>', '\\u003e'],
  ['&', '\\u0026'],
  ['\u2028', '\\u2028'],
  ['\u2029', '\\u2029'],
]);

/** Writes JSON as Go's encoder does: HTML-safe escapes, lone surrogates replaced, other text raw. */
export function goJson(value: unknown): string {
  const text = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'string' ? item.replace(/\p{Surrogate}/gu, '\ufffd') : item,
  );
  return text.replace(/[<>&\u2028\u2029]/g, (char) => escapes.get(char) ?? char);
}
