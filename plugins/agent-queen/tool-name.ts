/** The limit of all model servers. */
const limitChars = 64;

/** The name of a tool as models get it, who allow letters, digits, `_` and `-`: `text:count` is `text_count`. */
export function toolNameOf(name: string): string {
  return name.replace(/[^A-Za-z\d_-]/g, '_').slice(0, limitChars);
}

/** Whether one of the patterns names it; `*` stands for any characters. */
export function isNamedBy(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => fits(pattern.split('*'), name));
}

function fits([first = '', ...rest]: readonly string[], name: string): boolean {
  if (rest.length === 0) return name === first;
  const last = rest.pop() as string;
  if (!name.startsWith(first)) return false;
  let from = first.length;
  for (const part of rest) {
    const at = name.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return name.length - last.length >= from && name.endsWith(last);
}
