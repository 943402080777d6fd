import { detached } from '../chars.js';

const lineChars = 500;
const secretChars = 4;

const secretLike: readonly (readonly [RegExp, string])[] = [
  [/\b(bearer|basic)\s+[\w.~+/=*-]{6,}/gi, '$1 …'],
  [/\b(?:sk|pk|rk|gsk|xai|hf|key)[-_][\w*.-]{6,}/g, '…'],
  [/\bAIza[\w-]{20,}/g, '…'],
  [/:\/\/[^\s/@"']+@/g, '://'],
  [/([?&](?:api[-_]?key|key|token|access_token|sig|signature)=)[^&\s"']+/gi, '$1…'],
];

/** Text of a model server on one line, shortened, without `secrets` and anything that looks like a key. */
export function oneLine(text: string, secrets: readonly string[] = []): string {
  let line = text
    .slice(0, 10 * lineChars)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  // Shorter ones occur in any text.
  for (const secret of secrets) if (secret.length >= secretChars) line = line.replaceAll(secret, '…');
  for (const [pattern, instead] of secretLike) line = line.replace(pattern, instead);
  return detached(line.slice(0, lineChars));
}
