import { describe, expect, it } from 'vitest';
import { inWords } from '../../../plugins/ui-web/page/agent-line.js';
import { decisionOf } from '../../../plugins/ui-web/page/approval-view.js';
import { cut, noteStep, progressOf, shortened, wasHandedOver } from '../../../plugins/ui-web/page/steps.js';
import { answersOf } from '../../../plugins/ui-web/page/stored-answers.js';

type Chunk = Parameters<typeof noteStep>[1];
type Answer = Parameters<typeof noteStep>[0];

const call: Chunk = { type: 'tool_call', id: 'c1', name: 'orders:refund', arguments: { amount: 5 } };
const asked: Chunk = { ...call, type: 'approval_required', expiresInMs: 60_000 };
const result: Chunk = {
  type: 'tool_result',
  id: 'c1',
  name: 'orders:refund',
  output: 'paid',
  durationMs: 12,
};
const agent = (name: string, via: string, state: string, parent = 'm'): Chunk => ({
  ...{ type: 'agent', agent: name, via, state, parent },
});

function answer(...chunks: readonly (Chunk | string)[]): Answer {
  const message: Answer = { role: 'assistant', content: '', agent: 'm' };
  for (const chunk of chunks) {
    if (typeof chunk === 'string') message.content += chunk;
    else noteStep(message, chunk);
  }
  return message;
}

describe('the steps of an answer', () => {
  it('stand at their places in its text, each call once, however often the server tells of it', () => {
    const chunks = [
      'One. ',
      call,
      asked,
      { type: 'approval_resolved', id: 'c1', allow: true, by: 'ann' },
      result,
    ];
    const once = answer(...(chunks as Chunk[]));
    expect(once.steps).toEqual([
      {
        ...{
          type: 'call',
          at: 5,
          id: 'c1',
          name: 'orders:refund',
          input: '{\n  "amount": 5\n}',
          output: 'paid',
        },
        durationMs: 12,
        question: { until: expect.any(Number), allow: true, by: 'ann' },
      },
    ]);
    const before = structuredClone(once);
    for (const chunk of chunks.slice(1)) noteStep(once, chunk as Chunk);
    expect(once).toEqual(before);
  });

  it('keep the time that was left for a question when it is asked again', () => {
    const message = answer(call, { ...asked, expiresInMs: 0 });
    const [first] = structuredClone(message.steps ?? []);
    noteStep(message, asked);
    expect(message.steps).toEqual([first]);
  });

  it('have arguments that are whole again when the server tells of them again', () => {
    const message = answer(call);
    for (const step of message.steps ?? []) step.input = 'cut';
    noteStep(message, call);
    expect(message.steps?.[0]?.input).toContain('"amount": 5');
  });

  it.each([
    [{ arguments: {} }, '{}'],
    [{ arguments: undefined, argumentsText: '{"a":' }, '{"a":'],
    [
      { arguments: { a: 'x\u202ey\u200b\u{e0041}\u0085' } },
      '{\n  "a": "x\\u202ey\\u200b\\u{e0041}\\u0085"\n}',
    ],
    [{ arguments: { a: 'שלום 🐝\n' } }, '{\n  "a": "שלום 🐝\\n"\n}'],
  ])('show arguments as they are, also what cannot be seen: row %#', (given, shown) => {
    expect(answer({ ...call, ...given } as Chunk).steps).toMatchObject([{ input: shown }]);
  });

  it('of an agent change with its state, and are told once at one place of the text', () => {
    const message = answer('One. ', agent('a', 'consult', 'started'), agent('a', 'consult', 'ended'));
    expect(noteStep(message, agent('a', 'consult', 'started'))).toBeUndefined();
    expect(noteStep(message, agent('a', 'consult', 'ended'))).toBeUndefined();
    message.content += 'Two. ';
    noteStep(message, agent('a', 'consult', 'started'));
    noteStep(message, agent('b', 'consult', 'failed', 'a'));
    expect(message.steps?.map(({ at, agent, state, nested }) => [at, agent, state, nested])).toEqual([
      [5, 'a', 'ended', undefined],
      [10, 'a', 'started', undefined],
      [10, 'b', 'failed', true],
    ]);
    expect(wasHandedOver(message)).toBe(false);
  });

  it.each<[string, readonly (Chunk | string)[], string, boolean]>([
    ['started', [agent('a', 'handover', 'started')], 'a', true],
    ['ended', [agent('a', 'handover', 'started'), 'Hi.', agent('a', 'handover', 'ended')], 'a', true],
    [
      'went on to another one',
      [
        ...[agent('a', 'handover', 'started'), 'Hi. ', agent('b', 'handover', 'started', 'a'), 'Ho.'],
        ...[agent('b', 'handover', 'ended', 'a'), agent('a', 'handover', 'ended')],
      ],
      'b',
      true,
    ],
    ['failed', [agent('a', 'handover', 'started'), agent('a', 'handover', 'failed')], 'm', false],
    [
      'failed after a word',
      [agent('a', 'handover', 'started'), 'Hi.', agent('a', 'handover', 'failed')],
      'a',
      false,
    ],
  ])('name the one that speaks after a hand-over that has %s', (_, chunks, name, isOver) => {
    const message = answer('One. ', ...chunks);
    expect(message.agent).toBe(name);
    expect(wasHandedOver(message)).toBe(isOver);
  });

  it('are stored without most of long texts, but with all of what is to be decided', () => {
    const long = 'x'.repeat(30_000);
    const calls = Array.from({ length: 100 }, (_, index) => [
      { ...call, id: `c${index}`, arguments: long },
      { ...result, id: `c${index}`, output: long },
    ]).flat() as Chunk[];
    const open = { ...asked, id: 'open', arguments: long } as Chunk;
    const message = answer(...calls, open);
    const [stored] = shortened([message]);
    expect(JSON.stringify(stored).length).toBeLessThan(180_000);
    expect(stored?.steps).toHaveLength(101);
    expect(stored?.steps?.at(-1)?.input).toBe(`"${long}"`);
    expect(stored?.steps?.[0]?.output).toMatch(/^x{4000}\n\[the first 4,000 of 30,000 characters\]$/);
    // What is shown is not touched.
    expect(message.steps?.[0]?.output).toBe(long);
    const plain: Answer = { role: 'user', content: 'Hi' };
    expect(shortened([plain])[0]).toBe(plain);
  });

  it('tell another tab of all that is more than a piece of text', () => {
    const resolved: Chunk = { type: 'approval_resolved', id: 'c1', allow: true };
    const chunks = [
      call,
      asked,
      resolved,
      result,
      agent('a', 'consult', 'started'),
      agent('a', 'consult', 'ended'),
    ];
    const stages = chunks.map((_, index) => progressOf([answer(...chunks.slice(0, index + 1))]));
    expect(new Set(stages).size).toBe(chunks.length);
    expect(progressOf([answer(call)])).toBe(progressOf([answer(call, 'text')]));
    expect(progressOf([])).not.toBe(progressOf([answer()]));
    expect(progressOf([{ ...answer(), pending: {} }])).not.toBe(progressOf([answer()]));
  });

  it('are not cut within a character', () => {
    expect(cut('ab🐝', 3)).toBe('ab\n[the first 3 of 4 characters]');
    expect(cut('ab🐝', 4)).toBe('ab🐝');
  });
});

describe('in words', () => {
  const who = (by: string) => (by === 'ann' ? 'you' : by);

  it.each([
    [{ allow: true, by: 'ann' }, 'Allowed by you.'],
    [{ allow: false, by: 'bob' }, 'Denied by bob.'],
    [{ allow: false }, 'Nobody allowed it in time.'],
    [{}, 'Nobody has allowed or denied it.'],
  ])('a decision is told: row %#', (question, words) => {
    expect(decisionOf({ until: 0, ...question }, who)).toBe(words);
  });

  it.each([
    ['consult', 'started', true, 'a is asked'],
    ['consult', 'started', false, 'a was asked'],
    ['consult', 'ended', true, 'a was asked'],
    ['consult', 'failed', true, 'a failed'],
    ['handover', 'started', true, 'handed over to a'],
    ['handover', 'ended', false, 'handed over to a'],
    ['handover', 'failed', false, 'a failed'],
  ])('an agent is told of: %s %s, live %s', (via, state, isLive, words) => {
    expect(inWords({ agent: 'a', via, state, parent: 'm' }, isLive)).toBe(words);
    const nested = inWords({ agent: 'a', via, state, parent: 'b', nested: true }, isLive);
    expect(nested).toBe(state === 'failed' ? words : `${words} by b`);
  });
});

describe('a conversation of the server', () => {
  it.each([
    [
      'an answer',
      [
        ['user', 'a'],
        ['assistant', 'b'],
      ],
      [
        ['user', 'a'],
        ['assistant', 'b'],
      ],
    ],
    [
      'turns with tools',
      [
        ['user', 'a'],
        ['assistant', 'b '],
        ['tool', 'secret'],
        ['assistant', ''],
        ['tool', 'x'],
        ['assistant', 'c'],
        ['user', 'd'],
        ['assistant', 'e'],
      ],
      [
        ['user', 'a'],
        ['assistant', 'b c'],
        ['user', 'd'],
        ['assistant', 'e'],
      ],
    ],
    [
      'a question that was stopped',
      [['user', 'a', 'cancelled']],
      [
        ['user', 'a'],
        ['assistant', '', true],
      ],
    ],
    [
      'a tool that was stopped',
      [
        ['user', 'a'],
        ['assistant', 'b'],
        ['tool', 'x', 'cancelled'],
      ],
      [
        ['user', 'a'],
        ['assistant', 'b', true],
      ],
    ],
  ])('shows %s', (_, stored, shown) => {
    const messages = answersOf(
      stored.map(([role = '', content, end]) => ({ role, content, ...(end && { end }) })),
    );
    expect(messages.map(({ role, content, stopped }) => [role, content, ...(stopped ? [true] : [])])).toEqual(
      shown,
    );
  });

  it('has an answer that failed', () => {
    expect(answersOf([{ role: 'user', content: 'a', end: 'failed' }])).toEqual([
      { role: 'user', content: 'a' },
      { role: 'assistant', content: '', error: {} },
    ]);
  });
});
