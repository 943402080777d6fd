/** The searched part of a message. */
const searchedChars = 100_000;
/** Longer words match by their beginning. */
const wordChars = 64;
const maxQueryWords = 16;
const excerptChars = 240;
const charsBefore = 60;

const run = /[\p{L}\p{M}\p{N}\p{Co}]+|\p{Extended_Pictographic}/gu;
/** Scripts without spaces between words. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu;
/** A character of a word between spaces. */
const spaced = new RegExp(`^(?!${unspaced.source})[\\p{L}\\p{N}\\p{Co}]$`, 'u');
const isAscii = /^[\0-\x7f]*$/;

/**
 * The distinct words of a text, without case and accents; of a script without spaces its pairs of characters. A text has a
 * word of `queryWords` where one of these begins with it.
 */
export function searchWords(text: string): ReadonlySet<string> {
  const words = new Set<string>();
  for (const word of wordsOf(text.slice(0, searchedChars), true)) words.add(word);
  return words;
}

/** The words to search for, at most 16; none in a text of punctuation alone. */
export function queryWords(text: string): readonly string[] {
  return [...new Set(wordsOf(text.slice(0, searchedChars), false))].slice(0, maxQueryWords);
}

/** Whether a text has all words of a query: the same as a look at its `searchWords`, and much faster. */
export function hasWords(text: string, query: readonly string[]): boolean {
  const folded = fold(text.slice(0, searchedChars));
  return query.every((word) => hasWord(folded, word));
}

function hasWord(folded: string, word: string): boolean {
  for (let at = folded.indexOf(word); at >= 0; at = folded.indexOf(word, at + 1))
    if (at === 0 || !spaced.test(characterAt(folded, at)) || !spaced.test(characterBefore(folded, at)))
      return true;
  return false;
}

function characterAt(text: string, at: number): string {
  return String.fromCodePoint(text.codePointAt(at) as number);
}

function characterBefore(text: string, at: number): string {
  const isPair = /[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(Math.max(0, at - 2), at));
  return text.slice(isPair ? at - 2 : at - 1, at);
}

/** The part of a text around the first word of a query, on one line. */
export function excerptOf(text: string, query: readonly string[]): string {
  const searched = text.slice(0, searchedChars);
  const at = firstMatch(searched, query);
  const start = at <= charsBefore ? 0 : at - charsBefore;
  const part = searched.slice(start, start + excerptChars).replace(/[\s\p{Cc}\p{Cs}]+/gu, ' ');
  const isCut = start + excerptChars < text.length;
  return `${start > 0 ? '…' : ''}${part.trim()}${isCut ? '…' : ''}`;
}

function firstMatch(text: string, query: readonly string[]): number {
  for (const found of text.matchAll(run)) {
    const words = [...wordsOf(found[0], true)];
    const place = words.findIndex((word) => query.some((wanted) => word.startsWith(wanted)));
    if (place >= 0) return found.index + (words.length > 1 ? place : 0);
  }
  return 0;
}

/** Without case and accents. */
function fold(text: string): string {
  if (isAscii.test(text)) return text.toLowerCase();
  // By way of capitals, so that ß is ss.
  const folded = text.normalize('NFKD').toUpperCase().toLowerCase();
  return folded.replace(/\p{M}+/gu, '').normalize('NFC');
}

function* wordsOf(text: string, withTail: boolean): Iterable<string> {
  const folded = fold(text);
  if (isAscii.test(folded)) {
    for (const [word] of folded.matchAll(/[a-z0-9]+/g)) yield word.slice(0, wordChars);
    return;
  }
  for (const [found] of folded.matchAll(run)) {
    let end = 0;
    for (const { 0: dense, index } of found.matchAll(unspaced)) {
      if (index > end) yield cut(found.slice(end, index));
      yield* pairsOf([...dense], withTail);
      end = index + dense.length;
    }
    if (end < found.length) yield cut(found.slice(end));
  }
}

/** `withTail`: the last character as well, so that it is found by itself. */
function* pairsOf(characters: readonly string[], withTail: boolean): Iterable<string> {
  const last = characters.length - 1;
  for (let at = 0; at < last; at++) yield `${characters[at]}${characters[at + 1]}`;
  if (withTail || last === 0) yield characters[last] as string;
}

function cut(word: string): string {
  return word.slice(0, wordChars).replace(/[\ud800-\udbff]$/, '');
}
