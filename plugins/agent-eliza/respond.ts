import { english } from './english.js';
import { german } from './german.js';
import type { Script } from './script.js';

/** ELIZA's answer to `text`. The same text, turn and seed give the same answer. */
export function respond(text: string, turn: number, seed: number): string {
  const script = languageOf(text);
  for (const { pattern, answers } of script.rules) {
    const match = pattern.exec(text);
    if (!match) continue;
    const answer = answers[hash(`${seed}:${turn}:${text}`) % answers.length] as string;
    return answer.replace('$1', () => reflect(match[1] ?? '', script) || '…');
  }
  return '…';
}

/** The demonstration notice in the language of `text`. */
export function demoNotice(text: string): string {
  return languageOf(text).demoNotice;
}

function languageOf(text: string): Script {
  const words = text.toLowerCase().match(/[\p{L}']+/gu) ?? [];
  const score = ({ marks }: Script) => words.filter((word) => marks.has(word)).length;
  return /[äöüß]/i.test(text) || score(german) > score(english) ? german : english;
}

function reflect(phrase: string, { reflections }: Script): string {
  return phrase
    .replace(/[.!?…]+\s*$/, '')
    .slice(0, 200)
    .split(/\s+/)
    .map((word) => reflections[word.toLowerCase()] ?? word)
    .join(' ')
    .trim();
}

/** FNV-1a, 32 bits (datatracker.ietf.org/doc/draft-eastlake-fnv). */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
}
