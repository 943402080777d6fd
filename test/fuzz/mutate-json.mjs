const oddNumbers = [0, -1, 1.5, 2 ** 31, 2 ** 53, -(2 ** 63), 1e308, 9_999_999_999];
const oddTexts = [
  '',
  '\u0000',
  '\ud800',
  '\u2028\u0085',
  '__proto__',
  'constructor',
  '../..',
  '{{{{',
  '%00%2f',
  '🐝',
];
const oddKeys = [
  '__proto__',
  'constructor',
  'toString',
  '',
  'x'.repeat(5000),
  'options',
  'type',
  'requestId',
];

/** A copy of `value` with up to four changes anywhere in it. */
export function mutateJson(value, random) {
  let copy = structuredClone(value);
  for (let left = random.below(4) + 1; left > 0; left--) copy = changed(copy, random);
  return copy;
}

/** As text, which JavaScript's values cannot say in all cases: keys that come twice, numbers of 400 digits. */
export function writeJson(value, random) {
  const text = JSON.stringify(value) ?? 'null';
  if (random.chance(0.9)) return text;
  return random.pick([
    () => text.replace('{', `{"content":1,"type":"ping","model":"${'x'.repeat(random.below(3000))}",`),
    () => text.replace(/:\d+/, `:${'9'.repeat(400)}`),
    () => `${'['.repeat(random.below(5000))}${text}`,
    () => text.slice(0, random.below(text.length)),
    () => `\ufeff${text}`,
    () => `${text}${text}`,
    () => `${' '.repeat(random.below(50_000))}${text}`,
  ])();
}

function changed(value, random) {
  const isObject = typeof value === 'object' && value !== null;
  const keys = isObject ? Object.keys(value) : [];
  // Mostly further in: there is more below than at the top.
  if (keys.length > 0 && random.chance(0.7)) {
    const key = random.pick(keys);
    value[key] = changed(value[key], random);
    return value;
  }
  if (isObject && random.chance(0.4)) {
    if (keys.length > 0 && random.chance(0.5)) delete value[random.pick(keys)];
    else Object.defineProperty(value, random.pick(oddKeys), added(random));
    return value;
  }
  return odd(random);
}

function added(random) {
  return { value: odd(random), enumerable: true, writable: true, configurable: true };
}

function odd(random) {
  return random.pick([
    () => null,
    () => random.chance(0.5),
    () => random.pick(oddNumbers),
    () => random.pick(oddTexts),
    () => random.pick(oddTexts).repeat(random.below(2000)),
    () => 'x'.repeat(10 ** random.below(6)),
    () => Array.from({ length: 10 ** random.below(5) }, () => 0),
    () => Array.from({ length: random.below(50) }, () => ({ role: 'user', content: 'x' })),
    () =>
      Object.fromEntries(Array.from({ length: 10 ** random.below(4) }, (_, index) => [`k${index}`, index])),
    () => nested(random.below(200)),
    () => ({}),
    () => [],
  ])();
}

function nested(depth) {
  let value = 1;
  for (let level = 0; level < depth; level++) value = level % 2 ? [value] : { a: value };
  return value;
}
