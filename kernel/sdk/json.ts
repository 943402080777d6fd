import { messageOf, WaggleError } from '../errors.js';

/** Depth limit of input. `JSON.parse` takes a million levels, almost everything after it far fewer. */
export const jsonDepthLimit = 32;

/** Parses input of a client. @throws TOO_DEEP, INVALID_JSON */
export function parseJson(text: string, depthLimit: number = jsonDepthLimit): unknown {
  if (depthOver(text, depthLimit)) throw new WaggleError('TOO_DEEP', { depthLimit });
  try {
    // Some clients begin every text with a mark of the order of bytes.
    return JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text);
  } catch (cause) {
    throw new WaggleError('INVALID_JSON', { why: messageOf(cause) }, { cause });
  }
}

/**
 * The string at a key of the outermost object, found without parsing, so that `json` may be too deep, too long or cut off.
 * The last one counts, as in `JSON.parse`; other values and strings longer than `limitChars` do not.
 */
export function outerText(json: string, key: string, limitChars: number): string | undefined {
  const wanted = JSON.stringify(key);
  let depth = 0;
  let found: string | undefined;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === 0x22) {
      const end = endOfText(json, at);
      if (depth === 1 && end - at === wanted.length && json.startsWith(wanted, at))
        found = textBehind(json, end, limitChars) ?? found;
      at = end - 1;
    } else if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) depth--;
  }
  return found;
}

/** The index behind the string that begins at `from`. */
export function endOfText(json: string, from: number): number {
  // Most of a picture is one string: `indexOf` is forty times as fast as a loop.
  for (let at = json.indexOf('"', from + 1); at !== -1; at = json.indexOf('"', at + 1)) {
    let slashes = at;
    while (slashes > from + 1 && json.charCodeAt(slashes - 1) === 0x5c) slashes--;
    if ((at - slashes) % 2 === 0) return at + 1;
  }
  return json.length;
}

/** The value behind a key that ends at `from`, if it is a string. */
function textBehind(json: string, from: number, limitChars: number): string | undefined {
  // An escaped character takes six.
  const [, text] = /^\s*:\s*("(?:[^"\\]|\\.)*")/.exec(json.slice(from, from + 6 * limitChars + 64)) ?? [];
  try {
    const value: unknown = text && JSON.parse(text);
    return typeof value === 'string' && value.length <= limitChars ? value : undefined;
  } catch {
    return undefined; // An invalid string.
  }
}

function depthOver(text: string, limit: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) at = endOfText(text, at) - 1;
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > limit) return true;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return false;
}

/** Whether a value is a JSON object. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
