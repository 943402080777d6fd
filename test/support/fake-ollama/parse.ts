import { Refusal } from './refusal.js';

/** Where the first JSON value of the text ends, or undefined when it is cut off. */
function firstValueEnd(text: string): number | undefined {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (inString) {
      if (char === '\\') at += 1;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return undefined;
}

function parserText(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  const position = /at position (\d+)/.exec(message)?.[1];
  const char = /token '(.)'/su.exec(message)?.[1] ?? (position && text[Number(position)]) ?? text[0] ?? '';
  const place = /property name/.test(message) ? 'object key string' : 'value';
  return `invalid character '${char}' looking for beginning of ${place}`;
}

/** The first JSON value of a body, which must be an object; what follows it is ignored. */
export function firstJsonObject(body: string, goType: string): Record<string, unknown> {
  const text = body.trimStart();
  if (text === '') throw new Refusal(400, 'missing request body');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (whole) {
    if (!/^[{[]/.test(text)) throw new Refusal(400, parserText(text, whole));
    const end = firstValueEnd(text);
    if (end === undefined) throw new Refusal(400, 'unexpected EOF');
    try {
      value = JSON.parse(text.slice(0, end));
    } catch (first) {
      throw new Refusal(400, parserText(text, first));
    }
  }
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    const found = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    throw new Refusal(400, `json: cannot unmarshal ${found} into Go value of type api.${goType}`);
  }
  return value as Record<string, unknown>;
}
