import type { Params } from './params.js';

const words = [
  'Hello',
  ' world',
  ' 🐝',
  ' Grüße aus Köln',
  ' "quoted"',
  ' C:\\hive\\comb',
  '\n',
  ' 👩‍👩‍👧‍👦',
  ' 1 < 2 && 3 > 2',
  ' naïve',
  ' 日本語',
  '\t',
  ' 🇩🇪',
  ' ß',
  " it's",
  ' {"a":[1]}',
  ' Ω≈ç√',
  '\r\n',
  ' é',
  ' \u2028',
  ' 👍🏽',
  ' done',
  ' مرحبا',
  '.',
];

const thoughts = ['Compare', ' both', ' sides', ' 🤔', ' first', ',\n', ' dann', ' übersetzen'];

function shuffled(list: readonly string[], seed: number): string[] {
  const result = [...list];
  let state = seed >>> 0;
  for (let last = result.length - 1; last > 0; last -= 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const pick = Math.floor((state / 2 ** 32) * (last + 1));
    const held = result[last]!;
    result[last] = result[pick]!;
    result[pick] = held;
  }
  return result;
}

/** The endless content tokens of a seed, or of an explicit list, which is then repeated. */
export function* contentTokens(seed: number, explicit?: readonly string[]): Generator<string, never> {
  const list = explicit !== undefined && explicit.length > 0 ? explicit : shuffled(words, seed);
  for (;;) yield* list;
}

/** The thoughts of an answer: `k` in lines of their own and one that shares a line with content. */
export function thinkingTokens(params: Params): string[] {
  const length = params.number('k', 5) + 1;
  return Array.from({ length }, (_, index) => thoughts[index % thoughts.length]!);
}

/** The number of content tokens by default: each awkward one once. */
export const defaultTokenCount = words.length;
