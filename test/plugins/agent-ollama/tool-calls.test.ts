import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { config } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { lines, type ScriptedServer, startScriptedServer } from '../../support/scripted-server.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

let server: ScriptedServer;
let agent: OllamaAgent;

beforeAll(async () => {
  server = await startScriptedServer();
  agent = new OllamaAgent(config.parse({ baseUrl: server.url, model: 'm' }));
});
afterAll(async () => {
  agent.close();
  await server.close();
});

const end = { message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop' };
const called = (calls: string) =>
  `{"model":"m","message":{"role":"assistant","content":"","tool_calls":${calls}},"done":false}`;
const digits = '{"2":12345678901234567890,"1":1.0,"2":1e400,"at":[-0,{"x":0.10}]}';

const callsOf = async (...said: readonly string[]) => {
  server.play({ headers: { 'content-type': 'application/x-ndjson' }, body: lines(...said, end) });
  const { chunks, error } = await wholeAnswer(agent, hello('m'));
  expect(error).toBeUndefined();
  return chunks.flatMap((chunk) => (chunk.type === 'tool_call' ? [chunk] : []));
};

describe('the tool calls of Ollama', () => {
  it.each<[what: string, said: readonly string[], calls: readonly string[]]>([
    [
      'digits, the order of keys and a key that comes twice',
      [called(`[{"function":{"name":"a","arguments":${digits}}}]`)],
      [`a(${digits})`],
    ],
    [
      'two in one line',
      [called('[{"function":{"name":"a","arguments":{"n": 1.0}}},{"function":{"name":"b","arguments":{}}}]')],
      ['a({"n": 1.0})', 'b({})'],
    ],
    [
      'two in two lines',
      [
        called('[{"function":{"name":"a","arguments":{"n":1.0}}}]'),
        called('[{"function":{"name":"b","arguments":{"n":2.0}}}]'),
      ],
      ['a({"n":1.0})', 'b({"n":2.0})'],
    ],
    [
      'in a line with spaces, and with text that looks like them',
      [
        ' { "message" : { "content" : "\\"arguments\\":{", "tool_calls" : [ { "function" : { "arguments" : { "s" : "}]" } , "name" : "a" } } ] } , "done" : false }',
      ],
      ['a({ "s" : "}]" })'],
    ],
    [
      'arguments that are text',
      [called('[{"function":{"name":"a","arguments":"{\\"n\\":1.0}"}}]')],
      ['a({"n":1.0})'],
    ],
    [
      'no arguments',
      [called('[{"function":{"name":"a"}},{"function":{"name":"b","arguments":null}}]')],
      ['a({})', 'b({})'],
    ],
    [
      'one id for two',
      [
        called(
          '[{"id":"x","function":{"name":"a","arguments":{}}},{"id":"x","function":{"name":"b","arguments":{}}}]',
        ),
      ],
      ['a({})', 'b({})'],
    ],
    [
      'in the last line',
      [
        '{"message":{"tool_calls":[{"function":{"name":"a","arguments":{"n":1.0}}}]},"done":true,"done_reason":"stop"}',
      ],
      ['a({"n":1.0})'],
    ],
  ])('%s', async (_, said, calls) => {
    const found = await callsOf(...said);
    expect(found.map(({ name, arguments: args }) => `${name}(${args})`)).toEqual(calls);
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
  });

  it.each<[what: string, text: string, sent: string]>([
    ['digits and the order of keys', digits, digits],
    ['what is deep', `{"a":${'['.repeat(90)}${']'.repeat(90)}}`, `{"a":${'['.repeat(90)}${']'.repeat(90)}}`],
    ['nothing', '', '{}'],
    ['what looks like a pattern', '{"a":"$& $1"}', '{"a":"$& $1"}'],
    ['what is on several lines', '{\n"a":1.0\r\n}', '{ "a":1.0  }'],
    ['what is broken, in an object', '{"city": "Par', '{"input":"{\\"city\\": \\"Par"}'],
    ['what is no object, in one', '[1]', '{"input":"[1]"}'],
  ])('are given back as they were: %s', async (_, text, sent) => {
    const toolCalls = [
      { id: 'x', name: 'a', arguments: text },
      { id: 'y', name: 'b', arguments: '{"n":1.0}' },
    ];
    await wholeAnswer(agent, { ...hello('m'), messages: [{ role: 'assistant', content: '', toolCalls }] });
    expect(server.chats.at(-1)?.text).toContain(
      `"tool_calls":[{"function":{"name":"a","arguments":${sent}}},{"function":{"name":"b","arguments":{"n":1.0}}}]`,
    );
  });
});
