/** The text that every server under test streams: the same tokens in the same order, made from a fixed seed. */

const plain =
  'the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part'.split(
    ' ',
  );
const beyondAscii = ['über', 'größe', '東京', 'naïve', 'café', '😀', 'слово', 'año', '–', '漢字'];
const escaped = ['"', '\n', ' "a', '\\n', '\t', '",', '\n\n', ' \\'];

/** Tokens after which the text begins anew. */
export const corpusTokens = 4096;

/** A small generator with a known sequence (mulberry32). */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function makeTokens() {
  const random = randomFrom(9797);
  const pick = (list) => list[Math.floor(random() * list.length)];
  return Array.from({ length: corpusTokens }, () => {
    const kind = random();
    if (kind < 0.05) return pick(escaped) + pick(plain);
    if (kind < 0.15) return ` ${pick(beyondAscii)}`;
    return ` ${pick(plain)}`;
  });
}

/** @type {readonly string[]} */
export const tokens = makeTokens();

const bytesUpTo = [0];
for (const token of tokens) bytesUpTo.push(bytesUpTo.at(-1) + Buffer.byteLength(JSON.stringify(token)) - 2);

/** Bytes that the first `count` tokens take inside JSON strings. */
export function contentBytes(count) {
  const rounds = Math.floor(count / corpusTokens);
  return rounds * bytesUpTo[corpusTokens] + bytesUpTo[count % corpusTokens];
}

/** The first `count` tokens as one text. */
export function textOf(count) {
  const whole = tokens.join('');
  const rounds = Math.floor(count / corpusTokens);
  return whole.repeat(rounds) + tokens.slice(0, count % corpusTokens).join('');
}
