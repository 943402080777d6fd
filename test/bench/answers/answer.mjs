import { corpusTokens, tokens } from './corpus.mjs';
import { Metronome } from './metronome.mjs';

/**
 * The agent loop of every server under test. The question says what the answer looks like:
 * `burst <tokens in one yield> <tokens> <tokens in one turn of the event loop>`,
 * `paced <tokens>`, one token every 20 ms, `stamped <tokens>`, the same with the time in place of the text,
 * `paced <tokens> <ms>`, with the first token at once and a pause after it, so that others can join, and
 * `every <ms> <tokens>`, one token in each period of so many milliseconds.
 */
const metronome = new Metronome();
/** For other periods than 20 ms. */
const others = new Map();
const turn = () => new Promise((resolve) => setImmediate(resolve));
const done = { type: 'done', reason: 'stop' };

/** Microseconds of the clock that all processes of a machine share, in as many characters as ever needed. */
export function stamp() {
  return String(process.hrtime.bigint() / 1000n).padStart(16, '0');
}

/** @param {string} question */
export function answer(question) {
  const [kind, ...numbers] = question.split(' ');
  const [first, second, third] = numbers.map(Number);
  if (kind === 'burst') return first === 1 ? single(second, third) : arrays(first, second, third);
  if (kind === 'every') return every(metronomeOf(first), second);
  return paced(first, second ?? 0, kind === 'stamped');
}

function metronomeOf(periodMs) {
  if (!others.has(periodMs)) others.set(periodMs, new Metronome(periodMs));
  return others.get(periodMs);
}

async function* single(count, perTurn) {
  for (let at = 0; at < count; at++) {
    if (at > 0 && at % perTurn === 0) await turn();
    yield { type: 'text', content: tokens[at % corpusTokens] };
  }
  yield done;
}

async function* arrays(size, count, perTurn) {
  for (let at = 0; at < count; ) {
    if (at > 0 && at % perTurn === 0) await turn();
    const batch = [];
    for (const end = Math.min(count, at + size); at < end; at++)
      batch.push({ type: 'text', content: tokens[at % corpusTokens] });
    yield batch;
  }
  yield done;
}

async function* paced(count, holdMs, isStamped) {
  const place = metronome.place();
  for (let at = 0; at < count; at++) {
    if (at === 1 && holdMs > 0) await new Promise((resolve) => setTimeout(resolve, holdMs));
    if (at > 0 || holdMs === 0) await metronome.beat(place);
    yield { type: 'text', content: isStamped ? stamp() : tokens[at % corpusTokens] };
  }
  yield done;
}

async function* every(beats, count) {
  const place = beats.place();
  for (let at = 0; at < count; at++) {
    await beats.beat(place);
    yield { type: 'text', content: tokens[at % corpusTokens] };
  }
  yield done;
}
