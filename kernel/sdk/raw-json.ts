import { endOfText, parseJson } from './json.js';

/** Depth limit of tool schemas and call arguments: real ones are deeper than requests. */
export const toolDepthLimit = 100;

const [quote, colon, comma] = [0x22, 0x3a, 0x2c];

/**
 * The source texts of the parts of a JSON object or array, by key or index, so that numbers and the order of keys stay
 * exact. The last one of a key counts, as in `JSON.parse`. `json` must be valid; other values have no parts.
 */
export function rawParts(json: string): ReadonlyMap<string, string> {
  const parts = new Map<string, string>();
  const start = json.search(/\S/);
  const isList = json[start] === '[';
  if (!isList && json[start] !== '{') return parts;
  let depth = 0;
  let from = start + 1;
  let key: string | undefined;
  for (let at = from; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === quote) {
      const end = endOfText(json, at);
      if (!isList && depth === 0) key ??= JSON.parse(json.slice(at, end)) as string;
      at = end - 1;
    } else if (opens(code)) depth++;
    else if (depth > 0) depth -= closes(code) ? 1 : 0;
    else if (code === colon) from = at + 1;
    else if (code === comma || closes(code)) {
      const text = json.slice(from, at).trim();
      if (text !== '') parts.set(key ?? String(parts.size), text);
      key = undefined;
      from = at + 1;
    }
  }
  return parts;
}

/** JSON text on one line with unchanged values, to be a part of other JSON; undefined where it is invalid or too deep. */
export function spliceable(text: string): string | undefined {
  try {
    parseJson(text, toolDepthLimit);
  } catch {
    return undefined; // The caller passes it on as a string.
  }
  // Inside of values these are escaped.
  return text.replace(/[\r\n]/g, ' ').trim();
}

function opens(code: number): boolean {
  return code === 0x7b || code === 0x5b;
}

function closes(code: number): boolean {
  return code === 0x7d || code === 0x5d;
}

/** Depth of plain data, measured down to `limit`; anything deeper gives `limit + 1`. */
export function depthOf(value: unknown, limit: number): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (limit <= 0) return 1;
  let deepest = 0;
  for (const each of Object.values(value)) {
    deepest = Math.max(deepest, depthOf(each, limit - 1));
    if (deepest >= limit) break;
  }
  return deepest + 1;
}
