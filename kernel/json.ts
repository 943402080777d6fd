import { messageOf, WaggleError } from './errors.js';

/** Text that was sent to us, as a value: `JSON.parse` takes a million levels, almost everything after it far fewer. */
export const jsonDepthLimit = 32;

/** @throws TOO_DEEP, INVALID_JSON */
export function parseJson(text: string, depthLimit: number = jsonDepthLimit): unknown {
  if (depthOver(text, depthLimit)) throw new WaggleError('TOO_DEEP', { depthLimit });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WaggleError('INVALID_JSON', { why: messageOf(cause) }, { cause });
  }
}

function depthOver(text: string, limit: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === 0x5c) at++;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > limit) return true;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return false;
}
