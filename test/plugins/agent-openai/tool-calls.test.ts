import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { config } from '../../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { events, type ScriptedServer, startScriptedServer } from '../../support/scripted-server.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

let server: ScriptedServer;
let agent: OpenAiAgent;

beforeAll(async () => {
  server = await startScriptedServer();
  agent = new OpenAiAgent('a', config.parse({ baseUrl: `${server.url}/v1`, model: 'm' }));
});
afterAll(async () => {
  agent.close();
  await server.close();
});

const headers = { 'content-type': 'text/event-stream' };
const end = { choices: [{ delta: {}, finish_reason: 'tool_calls' }] };
const delta = (...calls: readonly object[]) => ({ choices: [{ delta: { tool_calls: calls } }] });
/** One piece of a call. */
const piece = (name: string | undefined, args: unknown, more: object = {}) => ({
  ...more,
  function: { ...(name !== undefined && { name }), ...(args !== undefined && { arguments: args }) },
});

const answerTo = async (...said: readonly unknown[]) => {
  server.play({ headers, body: events(...said, end, '[DONE]') });
  const { chunks, error } = await wholeAnswer(agent, hello('m'));
  expect(error).toBeUndefined();
  return chunks;
};
const callsOf = async (...said: readonly unknown[]) => {
  const chunks = await answerTo(...said);
  const calls = chunks.flatMap((chunk) => (chunk.type === 'tool_call' ? [chunk] : []));
  expect(new Set(calls.map(({ id }) => id)).size).toBe(calls.length);
  for (const { id } of calls) expect(id).not.toBe('');
  return calls.map(({ name, arguments: args }) => `${name}(${args})`);
};

const rome = '{"city":"Rome"}';
const both = [`a(${rome})`, 'b({"n":1})'];

describe('the tool calls of a model server', () => {
  it.each<[what: string, said: readonly unknown[], calls: readonly string[]]>([
    [
      'as the documents have it',
      [
        delta(piece('a', '', { index: 0, id: 'x', type: 'function' })),
        delta(piece(undefined, '{"city"', { index: 0 })),
        delta(piece(undefined, ':"Rome"}', { index: 0 })),
        delta(piece('b', '', { index: 1, id: 'y', type: 'function' })),
        delta(piece(undefined, '{"n":1}', { index: 1 })),
      ],
      both,
    ],
    [
      'two whole ones, both at index 0',
      [delta(piece('a', rome, { index: 0, id: 'x' })), delta(piece('b', '{"n":1}', { index: 0, id: 'y' }))],
      both,
    ],
    [
      'the same in one event',
      [delta(piece('a', rome, { index: 0, id: 'x' }), piece('b', '{"n":1}', { index: 0, id: 'y' }))],
      both,
    ],
    [
      'the same without ids',
      [delta(piece('a', rome, { index: 0 }), piece('b', '{"n":1}', { index: 0 }))],
      both,
    ],
    ['without index and id', [delta(piece('a', rome), piece('b', '{"n":1}'))], both],
    ['the same in two events', [delta(piece('a', rome)), delta(piece('b', '{"n":1}'))], both],
    [
      'without index and id, and without arguments',
      [delta(piece('a', ''), piece('b', undefined))],
      ['a({})', 'b({})'],
    ],
    [
      'two of one name and one index, with ids of their own, the first one broken',
      [
        delta(piece('a', '{"city": "Par', { index: 0, id: 'x' })),
        delta(piece('a', '{"n":1}', { index: 0, id: 'y' })),
      ],
      ['a({"city": "Par)', 'a({"n":1})'],
    ],
    [
      'an index on the first piece only',
      [
        delta(piece('a', '', { index: 0, id: 'x' })),
        delta(piece(undefined, '{"city":')),
        delta(piece(undefined, '"Rome"}')),
        delta(piece('b', '{"n"', { index: 1, id: 'y' })),
        delta(piece(undefined, ':1}')),
      ],
      both,
    ],
    [
      'the id on each piece, and no index',
      [
        delta(piece('a', '{"city"', { id: 'x' })),
        delta(piece('b', '{"n"', { id: 'y' })),
        delta(piece(undefined, ':"Rome"}', { id: 'x' })),
        delta(piece(undefined, ':1}', { id: 'y' })),
      ],
      both,
    ],
    [
      'interleaved by index',
      [
        delta(piece('a', '{"city"', { index: 0, id: 'x' }), piece('b', '{', { index: 1, id: 'y' })),
        delta(piece(undefined, '"n":1}', { index: 1 }), piece(undefined, ':"Rome"}', { index: 0 })),
      ],
      both,
    ],
    [
      'another id on each piece of one call',
      [
        delta(piece('a', '{"city"', { index: 0, id: 'x1' })),
        delta(piece(undefined, ':"Rome"}', { index: 0, id: 'x2' })),
      ],
      [`a(${rome})`],
    ],
    [
      'an empty id on later pieces',
      [
        delta(piece('a', '{"city"', { index: 0, id: 'x' })),
        delta(piece('', ':"Rome"}', { index: 0, id: '', type: null })),
      ],
      [`a(${rome})`],
    ],
    [
      'null for what is not there',
      [
        delta(piece('a', null, { index: 0, id: 'x' })),
        delta({ index: 0, id: null, type: null, function: { name: null, arguments: rome } }),
      ],
      [`a(${rome})`],
    ],
    [
      'the id late',
      [
        delta(piece('a', '{"city"', { index: 0 })),
        delta(piece(undefined, ':"Rome"}', { index: 0, id: 'x' })),
      ],
      [`a(${rome})`],
    ],
    [
      'one id for two places',
      [delta(piece('a', rome, { index: 0, id: 'x' }), piece('b', '{"n":1}', { index: 1, id: 'x' }))],
      both,
    ],
    [
      'an index that is text',
      [delta(piece('a', '{"city"', { index: '0' })), delta(piece(undefined, ':"Rome"}', { index: '0' }))],
      [`a(${rome})`],
    ],
    [
      'a name in pieces',
      [
        delta(piece('get_', '', { index: 0, id: 'x' })),
        delta(piece('weather', '', { index: 0 })),
        delta(piece(undefined, rome, { index: 0 })),
      ],
      [`get_weather(${rome})`],
    ],
    [
      'the name again with each piece, also the last and empty one',
      [
        delta(piece('a', '{"city"', { index: 0, id: 'x' })),
        delta(piece('a', ':"Rome"}', { index: 0 })),
        delta(piece('a', '', { index: 0 })),
      ],
      [`a(${rome})`],
    ],
    [
      'all of it once more at the end',
      [
        delta(piece('a', '{"city"', { index: 0, id: 'x' })),
        delta(piece(undefined, ':"Rome"}', { index: 0 })),
        delta(piece('a', rome, { index: 0, id: 'x' })),
      ],
      [`a(${rome})`],
    ],
    [
      'whole in a message at the end',
      [
        delta(piece('a', '{"city"', { index: 0, id: 'x' })),
        {
          choices: [
            {
              delta: {},
              message: { tool_calls: [piece('a', rome, { id: 'x' }), piece('b', '{"n":1}', { id: 'y' })] },
            },
          ],
        },
      ],
      both,
    ],
    [
      'whole in a message in place of a delta',
      [{ choices: [{ message: { tool_calls: [piece('a', rome), piece('b', '{"n":1}')] } }] }],
      both,
    ],
    [
      'one call that is no list',
      [{ choices: [{ delta: { tool_calls: piece('a', rome, { id: 'x' }) } }] }],
      [`a(${rome})`],
    ],
    [
      'a function_call of former times',
      [
        { choices: [{ delta: { function_call: { name: 'a', arguments: '{"city"' } } }] },
        { choices: [{ delta: { function_call: { arguments: ':"Rome"}' } } }] },
      ],
      [`a(${rome})`],
    ],
    ['no arguments at all', [delta({ index: 0, id: 'x', function: { name: 'a' } })], ['a({})']],
    [
      'arguments that are an object',
      [
        '{"choices":[{"delta":{"tool_calls":[{"function":{"name":"a","arguments":{"2": 12345678901234567890, "1": 1.0}}}]}}]}',
      ],
      ['a({"2": 12345678901234567890, "1": 1.0})'],
    ],
    [
      'digits, the order of keys and a key that comes twice',
      [delta(piece('a', '{"2":12345678901234567890,"1":1.0,"2":1e400,"x":-0}'))],
      ['a({"2":12345678901234567890,"1":1.0,"2":1e400,"x":-0})'],
    ],
    ['arguments that are cut off', [delta(piece('a', '{"city": "Par'))], ['a({"city": "Par)']],
    [
      'arguments with something behind them',
      [delta(piece('a', rome)), delta(piece(undefined, '}'))],
      [`a(${rome}})`],
    ],
    ['arguments that are text', [delta(piece('a', 'Rome'))], ['a(Rome)']],
  ])('%s', async (_, said, calls) => {
    expect(await callsOf(...said)).toEqual(calls);
  });

  it('come as they grow, the whole ones as soon as the next one begins', async () => {
    const chunks = await answerTo(
      delta(piece('a', '', { index: 0, id: 'x' })),
      delta(piece(undefined, '{"city"', { index: 0 })),
      delta(piece(undefined, ':"Rome"}', { index: 0 })),
      delta(piece('b', '{', { index: 1, id: 'y' })),
      delta(piece(undefined, '}', { index: 1 })),
    );
    const call = { id: 'x', name: 'a' };
    const next = { id: 'y', name: 'b' };
    expect(chunks.slice(0, -1)).toEqual([
      { type: 'tool_call_piece', ...call, arguments: '{"city"', from: 0 },
      { type: 'tool_call_piece', ...call, arguments: ':"Rome"}', from: 7 },
      { type: 'tool_call', ...call, arguments: rome },
      { type: 'tool_call_piece', ...next, arguments: '{', from: 0 },
      { type: 'tool_call_piece', ...next, arguments: '}', from: 1 },
      { type: 'tool_call', ...next, arguments: '{}' },
    ]);
  });

  it('keep what the server says besides, and bring it back', async () => {
    const extra_content = { google: { thought_signature: 'c2ln' } };
    const chunks = await answerTo(
      delta(piece('a', '{"city"', { index: 0, id: 'x', type: 'function', extra_content })),
      delta(piece(undefined, ':"Rome"}', { index: 0, cache: null, signature: 's' })),
    );
    const calls = chunks.filter((chunk) => chunk.type === 'tool_call');
    expect(calls).toMatchObject([{ extra: { extra_content, signature: 's' } }]);
    await wholeAnswer(agent, {
      ...hello('m'),
      messages: [{ role: 'assistant', content: '', toolCalls: calls }],
    });
    expect(server.chats.at(-1)?.body.messages[0].tool_calls).toEqual([
      { id: 'x', type: 'function', function: { name: 'a', arguments: rome }, extra_content, signature: 's' },
    ]);
  });

  it('bring back what is broken as it was', async () => {
    const toolCalls = [{ id: 'x', name: 'a', arguments: '{"city": "Par' }];
    await wholeAnswer(agent, { ...hello('m'), messages: [{ role: 'assistant', content: '', toolCalls }] });
    expect(server.chats.at(-1)?.body.messages[0].tool_calls[0].function.arguments).toBe('{"city": "Par');
  });

  it('end an answer where what is besides has no end', async () => {
    const more = Array.from({ length: 3 }, () =>
      delta(piece('a', '', { id: 'x', note: 'x'.repeat(500_000) })),
    );
    server.play({ headers, body: events(...more, end) });
    const { error } = await wholeAnswer(agent, hello('m'));
    expect(error).toMatchObject({ code: 'AGENT_PROTOCOL', message: expect.stringContaining('tool calls') });
  });
});
