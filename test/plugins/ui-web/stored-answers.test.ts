import { describe, expect, it } from 'vitest';
import { answersOf, merged } from '../../../plugins/ui-web/page/stored-answers.js';

type Message = Parameters<typeof merged>[0][number];

/** Turns by their letters: `a` a question with its answer, `A` one that the server has lost, `x` one whose answer has failed. */
const turns = (letters: string): Message[] =>
  [...letters].flatMap((letter): Message[] => {
    const lost = letter === letter.toUpperCase() && { lost: true };
    const failed = letter === 'x' && { error: { code: 'STREAM_GONE' } };
    return [
      { role: 'user', content: letter.toLowerCase(), ...lost },
      { role: 'assistant', content: `${letter.toLowerCase()}!`, ...failed, ...lost },
    ];
  });
const lettersOf = (messages: readonly Message[]) =>
  messages
    .filter(({ role }) => role === 'user')
    .map(({ content, lost }) => (lost ? content.toUpperCase() : content))
    .join('');

describe('the messages of the server', () => {
  it.each([
    ['the same', 'ab', 'ab', 'ab'],
    ['more, from another device', 'abc', 'ab', 'abc'],
    ['fewer, as another device has deleted some', 'b', 'ab', 'b'],
    ['another version', 'ac', 'ab', 'ac'],
    ['nothing of a last turn that failed', 'a', 'ax', 'aX'],
    ['nothing of the only turn, which failed', '', 'x', 'X'],
    ['a turn that failed, with its text', 'ax', 'ax', 'ax'],
    ['what came after some were lost', 'c', 'ABc', 'ABc'],
    ['what came after a lost one in the middle', 'ac', 'aXc', 'aXc'],
    ['more behind lost ones', 'acd', 'aXc', 'aXcd'],
    ['none any more', '', 'ab', ''],
  ])('are taken over: %s', (_, found, shown, result) => {
    const before = turns(shown);
    const after = merged(turns(found), before);
    expect(lettersOf(after)).toBe(result);
    // What is known is the same object, so that it is not drawn again.
    for (const message of before)
      if (after.some(({ content, role }) => content === message.content && role === message.role)) {
        const same = after.includes(message);
        if (found.startsWith(shown)) expect(same).toBe(true);
      }
  });

  it('are questions and answers without the turns that were refused, with tools, ends and their reasons', () => {
    expect(
      answersOf([
        { role: 'user', content: 'one', number: 1, at: 5, versions: [3] },
        {
          role: 'assistant',
          content: 'I look. ',
          tool_calls: [{ id: 'c', name: 'look', arguments: '{"a":1}' }],
        },
        { role: 'tool', content: 'found', tool_call_id: 'c' },
        {
          role: 'assistant',
          content: 'Done.',
          answered: { agent: 'm', model: 'x', usage: { outputTokens: 2 } },
        },
        { role: 'user', content: 'too long', number: 5, end: 'refused' },
        { role: 'user', content: 'two', number: 6 },
        {
          role: 'assistant',
          content: 'half',
          end: 'failed',
          failure: { code: 'AGENT_TIMEOUT', message: 'm' },
        },
        { role: 'user', content: 'three', number: 8, end: 'cancelled' },
      ]),
    ).toEqual([
      { role: 'user', content: 'one', number: 1, at: 5, versions: [3] },
      {
        ...{ role: 'assistant', content: 'I look. Done.', agent: 'm', note: 'x · 2 tokens' },
        steps: [
          {
            ...{ type: 'call', at: 8, id: 'c', name: 'look', input: '{\n  "a": 1\n}' },
            ...{ output: 'found', durationMs: 0 },
          },
        ],
      },
      { role: 'user', content: 'two', number: 6 },
      { role: 'assistant', content: 'half', error: { code: 'AGENT_TIMEOUT', message: 'm' } },
      { role: 'user', content: 'three', number: 8 },
      { role: 'assistant', content: '', stopped: true },
    ]);
  });
});
