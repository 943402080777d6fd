import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NdjsonSplitter } from '../../../plugins/agent-ollama/ndjson.js';
import { anyCharacter } from '../../support/any-character.js';
import { times } from '../../support/thorough.js';

const often = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, ...others.map((each) => fc.constant(each)));

/** What stands between the quotes of a string: mostly letters, sometimes what JSON escapes or refuses. */
const inside = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: fc.string({ unit: 'grapheme', maxLength: 3 }).map(escaped) },
      fc.string({ unit: anyCharacter, maxLength: 3 }).map(escaped),
      fc.constantFrom('\\"', '\\\\', '\\/', '\\n', '\\u0041', '\\ud83d\\udc1d', '\\ud800', '\\udc1d'),
      // Raw: what only looks like an escape, ends the string, or is a control character, of which JSON takes some.
      fc.constantFrom('\\', '\\x', '\\u12', '"', '","thinking":"', '\0', '\t', '\r', '\x1f', '\x7f', '\x85'),
    ),
    { maxLength: 4 },
  )
  .map((parts) => parts.join(''));
const string = inside.map((text) => `"${text}"`);

const fields = fc.record({
  model: string,
  created_at: string,
  role: often('"assistant"', '"tool"', 'null'),
  content: fc.oneof({ weight: 6, arbitrary: string }, fc.constantFrom('null', '7', '{}')),
  done: often('false', 'true', '"false"', 'null'),
});
const more = fc.array(
  fc.constantFrom(
    ...[
      '"error":"no"',
      '"done":true',
      '"done_reason":"length"',
      '"eval_count":3',
      '"x":[{}]',
      '"message":{}',
    ],
  ),
  { maxLength: 2 },
);
const moreOfMessage = fc.array(
  fc.constantFrom('"thinking":"hm"', '"tool_calls":[{"id":"1"}]', '"images":null', '"content":"other"'),
  { maxLength: 2 },
);
/** As a line is written usually in most cases; else in another order, with spaces, or with something around it. */
const layout = fc.record({
  reversed: often(false, true),
  messageReversed: often(false, true),
  space: often('', ' ', '\t'),
  before: often('', ' ', 'x'),
  after: often('', ' ', '\r', '}', ' {}'),
});

const none = fc.constant<string[]>([]);
const line = fc
  .tuple(
    fields,
    fc.oneof({ weight: 2, arbitrary: none }, more),
    fc.oneof({ weight: 2, arbitrary: none }, moreOfMessage),
    layout,
  )
  .map(([{ model, created_at, role, content, done }, extra, extraOfMessage, how]) => {
    const object = (members: readonly string[], reversed: boolean) =>
      `{${how.space}${(reversed ? members.toReversed() : members).join(`,${how.space}`)}}`;
    const inner = [`"role":${role}`, `"content":${content}`, ...extraOfMessage];
    const message = `"message":${object(inner, how.messageReversed)}`;
    const members = [`"model":${model}`, `"created_at":${created_at}`, message, `"done":${done}`, ...extra];
    return `${how.before}${object(members, how.reversed)}${how.after}`;
  });

describe('the lines of Ollama', () => {
  it('mean what JSON.parse says, however they are written', () => {
    fc.assert(
      fc.property(line, (written) => {
        const { values, error } = new NdjsonSplitter(1e6).push(Buffer.from(`${written}\n`));
        // Bytes hold no half of a character.
        const expected = parsed(Buffer.from(written).toString());
        expect(values.map(whatMatters)).toEqual(expected.map(whatMatters));
        expect(error === undefined).toBe(expected.length > 0);
      }),
      { numRuns: times(3000) },
    );
  });
});

describe('lines in pieces', () => {
  it('are whole, though each piece is read into the same buffer', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }),
        fc.array(fc.nat()),
        (texts, cuts) => {
          const bytes = Buffer.from(
            texts.map((content) => `${JSON.stringify({ message: { content } })}\n`).join(''),
          );
          const places = [...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
          const splitter = new NdjsonSplitter(1e6);
          const buffer = Buffer.alloc(bytes.length);
          const values = places.flatMap((to, place) => {
            const from = places[place - 1] ?? 0;
            buffer.fill('#').set(bytes.subarray(from, to));
            return splitter.push(buffer.subarray(0, to - from)).values;
          });
          expect(values.map(({ message }) => (message as { content: string }).content)).toEqual(texts);
        },
      ),
      { numRuns: times(500) },
    );
  });
});

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function parsed(text: string): readonly Readonly<Record<string, unknown>>[] {
  try {
    return [JSON.parse(text)];
  } catch {
    return [];
  }
}

/** What an answer is made from. The rest of a line counts only at its end. */
function whatMatters({ message, error, done, ...rest }: Readonly<Record<string, unknown>>): object {
  const { content, thinking, tool_calls } = (message ?? {}) as Readonly<Record<string, unknown>>;
  const said = { content, thinking, tool_calls, error };
  if (done !== true) return said;
  const { model, done_reason, prompt_eval_count, eval_count } = rest;
  return { ...said, done, model, done_reason, prompt_eval_count, eval_count };
}
