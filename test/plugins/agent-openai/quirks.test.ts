import { describe, expect, it } from 'vitest';
import { config } from '../../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { type Quirk, quirks, quirksContract, secret } from '../../contracts/quirks.contract.js';
import { events, startScriptedServer } from '../../support/scripted-server.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

const create = (url: string, options: object = {}) =>
  new OpenAiAgent('openai', config.parse({ baseUrl: `${url}/v1`, apiKey: secret, ...options }));

const choice = (more: object) => ({ choices: [{ index: 0, ...more }] });
const delta = (more: object, finish_reason: unknown = null) => choice({ delta: more, finish_reason });
const text = (content: unknown) => delta({ content });
const end = (reason: unknown) => delta({}, reason);
const whole = (message: object, finish_reason: unknown = 'stop', more: object = {}) =>
  JSON.stringify({ ...choice({ message, finish_reason }), ...more });

for (const upstream of ['auto', 'node'])
  quirksContract(`agent-openai, ${upstream}`, {
    create: (url, options) => create(url, { upstream, ...options }),
    whole: [events(text('Hel')), events(text('lo'), end('stop'), '[DONE]')],
    inside: (error) => events(error),
  });

const lost = 'AGENT_DISCONNECTED';
const wellEnded: readonly (readonly [word: string, reason: string])[] = [
  ...['stop', 'eos', 'eos_token', 'stop_sequence', 'end_turn', 'STOP', ' stop '].map(
    (word) => [word, 'stop'] as const,
  ),
  ...['length', 'max_tokens', 'MAX_TOKENS', 'max_length', 'model_length'].map(
    (word) => [word, 'length'] as const,
  ),
  ...['content_filter', 'content-filter', 'SAFETY', 'sensitive'].map(
    (word) => [word, 'content_filter'] as const,
  ),
  ['tool_calls', 'tool_calls'],
  ['function_call', 'tool_calls'],
  ['refusal', 'refusal'],
];
const badlyEnded = [
  'error',
  'abort',
  'aborted',
  'cancelled',
  'insufficient_system_resource',
  'network_error',
  'foo',
  'null',
  'constructor',
];
const notEnded = ['', null, undefined, false, 0, {}];

describe('whole means whole', () => {
  quirks(create, [
    ...wellEnded.map(
      ([word, reason]): Quirk => [
        `"${word}" ends well`,
        { body: events(text('Hi'), end(word), '[DONE]') },
        { text: 'Hi', reason },
      ],
    ),
    ...badlyEnded.map(
      (word): Quirk => [
        `"${word}" does not`,
        { body: events(text('Hi'), end(word), '[DONE]') },
        { text: 'Hi', code: lost, says: word },
      ],
    ),
    ...notEnded.map(
      (word): Quirk => [
        `${JSON.stringify(word)} does not`,
        { body: events(text('Hi'), end(word), '[DONE]') },
        { text: 'Hi', code: lost },
      ],
    ),
    [
      '"error" in one piece does not',
      { body: whole({ content: 'Hi' }, 'error') },
      { text: 'Hi', code: lost },
    ],
    ['"" in one piece does not', { body: whole({ content: 'Hi' }, '') }, { text: 'Hi', code: lost }],
    ['null in one piece does not', { body: whole({ content: 'Hi' }, null) }, { text: 'Hi', code: lost }],
    [
      '"" in every event, and a reason',
      { body: events(delta({ content: 'Hi' }, ''), end('stop')) },
      { text: 'Hi' },
    ],
    [
      '"" in every event, and no reason',
      { body: events(delta({ content: 'Hi' }, ''), delta({ content: '' }, ''), '[DONE]') },
      { text: 'Hi', code: lost },
    ],
    [
      'a reason that is taken back',
      { body: events(text('Hi'), end('stop'), end('error')) },
      { text: 'Hi', code: lost },
    ],
    [
      'an error after the reason',
      { body: events(text('Hi'), end('stop'), { error: 'oh' }) },
      { text: 'Hi', code: 'AGENT_FAILED' },
    ],
    ['[DONE] alone', { body: events(text('Hi'), '[DONE]') }, { text: 'Hi', code: lost, says: 'no end' }],
    [
      '[DONE] alone, and nothing after it',
      { body: events(text('Hi'), '[DONE]'), end: 'open' },
      { text: 'Hi', code: lost },
    ],
    ['neither', { body: events(text('Hi')) }, { text: 'Hi', code: lost }],
    ['a reason without [DONE]', { body: events(text('Hi'), end('stop')) }, { text: 'Hi' }],
    ['a reason with the last text', { body: events(delta({ content: 'Hi' }, 'stop')) }, { text: 'Hi' }],
    ['text after the reason', { body: events(text('H'), end('stop'), text('i'), '[DONE]') }, { text: 'Hi' }],
    [
      'a cut event after the reason',
      { body: `${events(text('Hi'), end('stop'))}data: {"choi` },
      { text: 'Hi' },
    ],
    [
      'a cut event instead of it',
      { body: `${events(text('Hi'))}data: {"choices":[{"finish_reason":"st` },
      { text: 'Hi', code: lost },
    ],
  ]);
});

describe('after the reason for its end', () => {
  const ended = events(text('Hi'), end('stop'));
  quirks(
    create,
    [
      ['a closed connection loses nothing', { body: ended, end: 'close' }, { text: 'Hi' }],
      ['silence loses nothing', { body: ended, end: 'open' }, { text: 'Hi' }],
      [
        'a closed connection after a bad one',
        { body: events(text('Hi'), end('error')), end: 'close' },
        { text: 'Hi', code: lost },
      ],
      ['a closed connection after nothing', { body: events(end('stop')), end: 'close' }, { code: lost }],
      [
        'a closed connection before it',
        { body: events(text('Hi')), end: 'close' },
        { text: 'Hi', code: lost },
      ],
      ['silence before it', { body: events(text('Hi')), end: 'open' }, { text: 'Hi', code: 'AGENT_TIMEOUT' }],
    ],
    { tokenTimeoutMs: 300 },
  );
});

describe('nothing is not an answer', () => {
  const failed = 'AGENT_FAILED';
  quirks(create, [
    ['[DONE] alone', { body: events('[DONE]') }, { code: lost }],
    ['a reason alone', { body: events(end('stop'), '[DONE]') }, { code: failed, says: 'empty' }],
    [
      'empty pieces',
      { body: events(delta({ role: 'assistant', content: '' }), text(''), text(null), end('stop')) },
      { code: failed, says: 'empty' },
    ],
    [
      'only usage',
      { body: events(end('length'), { choices: [], usage: { prompt_tokens: 1, completion_tokens: 9 } }) },
      { code: failed, says: 'length' },
    ],
    ['an empty refusal', { body: events(delta({ refusal: '' }), end('stop')) }, { code: failed }],
    ['an empty list of parts', { body: events(text([]), end('stop')) }, { code: failed }],
    ['no text in one piece', { body: whole({ content: null }) }, { code: failed }],
    ['an empty list of choices', { body: '{"choices":[]}' }, { code: lost }],
    ['only thinking', { body: events(delta({ reasoning_content: 'Hm' }), end('stop')) }, { thinking: 'Hm' }],
    [
      'a refusal',
      { body: events(delta({ content: null, refusal: 'I ' }), delta({ refusal: 'will not' }), end('stop')) },
      { text: 'I will not', reason: 'refusal' },
    ],
    [
      'a refusal with its reason',
      { body: events(delta({ refusal: 'No' }), end('content_filter')) },
      { text: 'No', reason: 'content_filter' },
    ],
    [
      'a refusal in one piece',
      { body: whole({ content: null, refusal: 'No' }) },
      { text: 'No', reason: 'refusal' },
    ],
    [
      'a refusal as a part',
      { body: whole({ content: [{ type: 'refusal', refusal: 'No' }] }) },
      { text: 'No', reason: 'refusal' },
    ],
  ]);
});

describe('its key', () => {
  const says = (message: string) => JSON.stringify({ error: { message } });
  const failed = 'AGENT_FAILED';
  quirks(create, [
    ['in a text', { status: 400, body: says(`what is ${secret}?`) }, { code: failed, says: 'what is …?' }],
    ['in a page', { status: 500, body: `<html><body>${secret}</body></html>` }, { code: failed, says: '…' }],
    ['in an event', { body: events({ error: `it was ${secret}` }) }, { code: failed, says: 'it was …' }],
    ['refused', { status: 401, body: says('Incorrect API key') }, { code: failed, says: 'set apiKey' }],
  ]);
});

describe('framing', () => {
  const hi = events(text('Hi'), end('stop'));
  quirks(create, [
    [
      'no empty line behind the last event',
      { body: `${events(text('Hi'))}data: ${JSON.stringify(end('stop'))}` },
      { text: 'Hi' },
    ],
    [
      'one line feed behind the last event',
      { body: `${events(text('Hi'))}data: ${JSON.stringify(end('stop'))}\n` },
      { text: 'Hi' },
    ],
    [
      'one carriage return behind it',
      { body: `${events(text('Hi'))}data: ${JSON.stringify(end('stop'))}\r` },
      { text: 'Hi' },
    ],
    ['blanks around [DONE]', { body: `${hi}data:  [DONE] \n\n` }, { text: 'Hi' }],
    ['[DONE] without a blank', { body: `${hi}data:[DONE]\n\n` }, { text: 'Hi' }],
    ['[done]', { body: `${hi}data: [done]\n\n` }, { text: 'Hi' }],
    ['[DONE] without an empty line', { body: `${hi}data: [DONE]` }, { text: 'Hi' }],
    ['[DONE] with an event of its own', { body: `${hi}event: done\ndata: [DONE]\n\n` }, { text: 'Hi' }],
    ['[DONE] that keeps the connection', { body: `${hi}data: [DONE] \n\n`, end: 'open' }, { text: 'Hi' }],
    ['carriage returns alone', { body: hi.replaceAll('\n', '\r') }, { text: 'Hi' }],
    ['no blank behind the colon', { body: hi.replaceAll('data: ', 'data:') }, { text: 'Hi' }],
    ['comments', { body: `: PROCESSING\n\n${hi}:\n\n` }, { text: 'Hi' }],
    ['names, ids and times', { body: `retry: 10\nid: 1\nevent: message\n${hi}` }, { text: 'Hi' }],
    ['names of their own', { body: `event: completion.chunk\n${hi}` }, { text: 'Hi' }],
    ['an event without data', { body: `event: start\n\n${hi}` }, { text: 'Hi' }],
    ['empty data', { body: `data:\n\ndata: \n\n${hi}` }, { text: 'Hi' }],
    ['a ping', { body: `event: ping\ndata: now\n\n${hi}` }, { text: 'Hi' }],
    [
      'JSON on two lines of data',
      { body: `${events(text('Hi'))}data: {"choices":\ndata: [{"finish_reason":"stop"}]}\n\n` },
      { text: 'Hi' },
    ],
    [
      'lines of JSON',
      { body: `${JSON.stringify(text('Hi'))}\n${JSON.stringify(end('stop'))}\n` },
      { text: 'Hi' },
    ],
    [
      'lines of JSON, the last one open',
      { body: `${JSON.stringify(text('Hi'))}\n\n${JSON.stringify(end('stop'))}` },
      { text: 'Hi' },
    ],
    [
      'one piece',
      { headers: { 'content-type': 'application/json' }, body: whole({ content: 'Hi' }) },
      { text: 'Hi' },
    ],
    [
      'one piece that is called events',
      { headers: { 'content-type': 'text/event-stream' }, body: whole({ content: 'Hi' }) },
      { text: 'Hi' },
    ],
    [
      'one piece, laid out',
      { body: JSON.stringify(JSON.parse(whole({ content: 'Hi' })), undefined, 2) },
      { text: 'Hi' },
    ],
    ['one piece as the data of an event', { body: events(whole({ content: 'Hi' })) }, { text: 'Hi' }],
    [
      'an error by the name of its event',
      { body: `${events(text('Hi'))}event: error\ndata: {"message":"it broke"}\n\n` },
      { text: 'Hi', code: 'AGENT_FAILED', says: 'it broke' },
    ],
    [
      'an error by that name, in plain text',
      { body: 'event: error\ndata: it broke\n\n' },
      { code: 'AGENT_FAILED', says: 'it broke' },
    ],
    [
      'an error by that name, with an error in it',
      { body: 'event: error\ndata: {"error":{"message":"it broke"}}\n\n' },
      { code: 'AGENT_FAILED', says: 'it broke' },
    ],
    [
      'an error as a field',
      { body: `${events(text('Hi'))}error: {"code":500,"message":"it broke"}\n\n` },
      { text: 'Hi', code: 'AGENT_FAILED', says: 'it broke' },
    ],
    [
      'an error without a field',
      { body: `${events(text('Hi'))}{"error":{"message":"it broke"}}\n\n` },
      { text: 'Hi', code: 'AGENT_FAILED', says: 'it broke' },
    ],
    [
      'an error in its choice',
      { body: events({ choices: [{ error: { message: 'it broke', code: 502 }, delta: { content: '' } }] }) },
      { code: 'AGENT_FAILED', says: 'it broke' },
    ],
    [
      'an error beside its choices',
      {
        body: events({
          error: { message: 'it broke', code: 502 },
          choices: [{ delta: { content: '' }, finish_reason: 'error' }],
        }),
      },
      { code: 'AGENT_FAILED', says: 'it broke' },
    ],
    [
      'an error in a list',
      { body: '[{"error":{"code":500,"message":"it broke"}}]' },
      { code: 'AGENT_FAILED', says: 'it broke' },
    ],
    ['plain text', { body: 'Service is asleep' }, { code: 'AGENT_PROTOCOL', says: 'neither' }],
    [
      'an event that is no JSON',
      { body: `${events(text('Hi'))}data: oops\n\n${events(end('stop'))}` },
      { text: 'Hi', code: 'AGENT_PROTOCOL' },
    ],
    [
      'an event with half a JSON in the middle',
      { body: `data: {"choices":[\n\n${hi}` },
      { code: 'AGENT_PROTOCOL' },
    ],
    [
      'bytes that are no UTF-8',
      { body: [events(text('Hi')), Buffer.from([0xff, 0xfe, 10, 10])] },
      { text: 'Hi', code: 'AGENT_PROTOCOL', says: 'UTF-8' },
    ],
  ]);
});

describe('of several choices one is read', () => {
  const at = (index: unknown, content: string, finish_reason: unknown = null) => ({
    index,
    delta: { content },
    finish_reason,
  });
  const called = (index: number, n: string) =>
    `{"index":${index},"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":{"n":${n}}}}]}}`;
  quirks(create, [
    [
      'in events of their own',
      {
        body: events(
          { choices: [at(0, 'H')] },
          { choices: [at(1, 'x')] },
          { choices: [at(1, 'x', 'length')] },
          { choices: [at(0, 'i', 'stop')] },
        ),
      },
      { text: 'Hi' },
    ],
    [
      'in one event, in any order',
      { body: events({ choices: [at(1, 'x'), at(0, 'H')] }, { choices: [at(0, 'i', 'stop'), at(1, 'x')] }) },
      { text: 'Hi' },
    ],
    [
      'whichever began',
      { body: events({ choices: [at(2, 'Hi')] }, { choices: [at(2, '', 'stop')] }) },
      { text: 'Hi' },
    ],
    [
      'that names its place once, as text, or not at all',
      {
        body: events(
          { choices: [at('0', 'H')] },
          { choices: [null, at(null, 'i')] },
          { choices: [at(undefined, '', 'stop')] },
        ),
      },
      { text: 'Hi' },
    ],
    [
      'whose end alone counts',
      { body: events({ choices: [at(0, 'Hi')] }, { choices: [at(1, '', 'stop')] }, '[DONE]') },
      { text: 'Hi', code: lost },
    ],
  ]);

  it('with the arguments of its own tool calls', async () => {
    const choices = `{"choices":[${called(1, '1')},${called(0, '12345678901234567890')}]}`;
    const server = await startScriptedServer({ body: events(choices, end('tool_calls')) });
    const agent = create(server.url);
    const { chunks } = await wholeAnswer(agent, hello('m'));
    agent.close();
    await server.close();
    expect(chunks.find(({ type }) => type === 'tool_call')).toMatchObject({
      arguments: '{"n":12345678901234567890}',
    });
  });
});

describe('what an answer is made of', () => {
  const said = (...deltas: readonly object[]) => ({
    body: events(...deltas.map((each) => delta(each)), end('stop')),
  });
  quirks(create, [
    [
      'a list of parts',
      said({
        content: [
          { type: 'text', text: 'H' },
          { type: 'text', text: 'i' },
        ],
      }),
      { text: 'Hi' },
    ],
    ['a list of texts', said({ content: ['H', 'i'] }), { text: 'Hi' }],
    ['one part', said({ content: { type: 'text', text: 'Hi' } }), { text: 'Hi' }],
    [
      'parts of other servers',
      said({ content: [{ type: 'output_text', text: { value: 'H' } }, { text: 'i' }] }),
      { text: 'Hi' },
    ],
    [
      'parts that are not known',
      said({ content: [{ type: 'citation', text: 'x' }, { type: 'text', text: 'Hi' }, null] }),
      { text: 'Hi' },
    ],
    [
      'thinking among the parts',
      said({
        content: [
          { type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }] },
          { type: 'text', text: 'Hi' },
        ],
      }),
      { text: 'Hi', thinking: 'Hm' },
    ],
    [
      'null',
      said({ content: null, refusal: null, tool_calls: null, reasoning_content: null }, { content: 'Hi' }),
      { text: 'Hi' },
    ],
    [
      'no delta',
      {
        body: events(
          { choices: [{ finish_reason: null }] },
          { choices: [null] },
          { choices: null },
          text('Hi'),
          end('stop'),
        ),
      },
      { text: 'Hi' },
    ],
    ['a number', said({ content: 5 }), { code: 'AGENT_PROTOCOL', says: 'wrong type' }],
    [
      'fields that are not known',
      said({ content: 'Hi', audio: { id: 'x' }, annotations: [], mood: 5 }),
      { text: 'Hi' },
    ],
    [
      'events that are not known',
      {
        body: events(
          { type: 'start' },
          { choices: [], prompt_filter_results: [] },
          {},
          text('Hi'),
          end('stop'),
        ),
      },
      { text: 'Hi' },
    ],
    [
      'the text of another API',
      { body: events({ choices: [{ text: 'Hi', finish_reason: 'stop' }] }) },
      { text: 'Hi' },
    ],
    [
      'messages where deltas belong',
      {
        body: events(choice({ message: { content: 'Hi' } }), choice({ message: {}, finish_reason: 'stop' })),
      },
      { text: 'Hi' },
    ],
    [
      'thinking by any name',
      said(
        { reasoning_content: 'a' },
        { reasoning: 'b' },
        { thinking: 'c' },
        {
          reasoning_details: [
            { type: 'reasoning.text', text: 'd' },
            { type: 'reasoning.encrypted', data: 'x' },
          ],
        },
        { content: 'Hi' },
      ),
      { text: 'Hi', thinking: 'abcd' },
    ],
    [
      'thinking under two names',
      said(
        { reasoning_content: 'Hm', reasoning: 'Hm' },
        { reasoning_content: '', reasoning: '!', content: 'Hi' },
      ),
      { text: 'Hi', thinking: 'Hm!' },
    ],
  ]);
});

describe('what it has cost', () => {
  const used = (usage: unknown, more: object = {}) => ({
    body: events(text('Hi'), end('stop'), { choices: [], usage, ...more }, '[DONE]'),
  });
  const counts = { prompt_tokens: 5, completion_tokens: 7 };
  const usage = { inputTokens: 5, outputTokens: 7 };
  quirks(create, [
    [
      'nothing was said of it',
      { body: events(text('Hi'), end('stop'), '[DONE]') },
      { text: 'Hi', usage: undefined },
    ],
    ['null', used(null), { text: 'Hi', usage: undefined }],
    ['an empty object', used({}), { text: 'Hi', usage: undefined }],
    ['numbers', used(counts), { text: 'Hi', usage }],
    [
      'details',
      used({
        ...counts,
        prompt_tokens_details: { cached_tokens: 3 },
        completion_tokens_details: { reasoning_tokens: 2 },
      }),
      { text: 'Hi', usage: { ...usage, cachedTokens: 3, reasoningTokens: 2 } },
    ],
    [
      'details that are 0',
      used({ ...counts, prompt_tokens_details: { cached_tokens: 0 } }),
      { text: 'Hi', usage: { ...usage, cachedTokens: 0 } },
    ],
    [
      'details that are null',
      used({ ...counts, prompt_tokens_details: null, completion_tokens_details: { reasoning_tokens: null } }),
      { text: 'Hi', usage },
    ],
    [
      'a cache by another name',
      used({ ...counts, prompt_cache_hit_tokens: 4 }),
      { text: 'Hi', usage: { ...usage, cachedTokens: 4 } },
    ],
    [
      'null in each event, and numbers at last',
      {
        body: events(
          { ...text('Hi'), usage: null },
          { ...end('stop'), usage: counts },
          { choices: [], usage: null },
        ),
      },
      { text: 'Hi', usage },
    ],
    [
      'with the choice',
      { body: events(text('Hi'), { choices: [{ delta: {}, finish_reason: 'stop', usage: counts }] }) },
      { text: 'Hi', usage },
    ],
    ['in one piece', { body: whole({ content: 'Hi' }, 'stop', { usage: counts }) }, { text: 'Hi', usage }],
    ['texts', used({ prompt_tokens: 'many', completion_tokens: {} }), { text: 'Hi', usage: undefined }],
  ]);
});

describe('tags around thinking', () => {
  const said = (...pieces: readonly string[]) => ({
    body: events(...pieces.map(text), end('stop'), '[DONE]'),
  });
  const tagged: readonly Quirk[] = [
    ['whole', said('<think>Hm</think>Hi'), { text: 'Hi', thinking: 'Hm' }],
    ['with blanks', said('\n<think>\nHm \nhm\n</think>\n\nHi\n'), { text: 'Hi\n', thinking: 'Hm \nhm' }],
    ['in pieces', said('<th', 'ink>H', 'm</', 'think', '>\n', '\nH', 'i'), { text: 'Hi', thinking: 'Hm' }],
    ['character by character', said(...'<think>H m</think> Hi <b>'), { text: 'Hi <b>', thinking: 'H m' }],
    ['with nothing between them', said('<think>\n\n</think>\n\nHi'), { text: 'Hi' }],
    ['without an end', said('<think>Hm'), { thinking: 'Hm' }],
    ['with half an end', said('<think>Hm</thi'), { thinking: 'Hm</thi' }],
    ['half a tag', said('Hi <th'), { text: 'Hi <th' }],
    ['another tag', said(' <b>H</b>', 'i < 5'), { text: ' <b>H</b>i < 5' }],
    ['after some text', said('Well <think>Hm</think> Hi'), { text: 'Well  Hi', thinking: 'Hm' }],
    ['several times', said('<think>a</think>Hi<think>b</think>!'), { text: 'Hi!', thinking: 'ab' }],
    [
      'beside thinking of its own',
      { body: events(delta({ reasoning_content: 'Hm', content: '<think>!</think>Hi' }), end('stop')) },
      { text: 'Hi', thinking: 'Hm!' },
    ],
    ['in one piece', { body: whole({ content: '<think>Hm</think>Hi' }) }, { text: 'Hi', thinking: 'Hm' }],
    ['only blanks', said('  ', '\n'), { text: '  \n' }],
  ];
  describe('where there are some', () => quirks(create, tagged, { reasoningTags: true }));
  describe('where there are none', () =>
    quirks(create, [['whole', said('<think>Hm</think>Hi'), { text: '<think>Hm</think>Hi' }]]));
  describe('by other names', () =>
    quirks(
      create,
      [
        ['in angle brackets', said('<thought>Hm</thought>Hi'), { text: 'Hi', thinking: 'Hm' }],
        ['in square brackets', said('[TH', 'INK]Hm[/THINK]Hi'), { text: 'Hi', thinking: 'Hm' }],
        [
          'one around another',
          said('<thought>a [THINK] b</thought>Hi'),
          { text: 'Hi', thinking: 'a [THINK] b' },
        ],
        ['the usual one', said('<think>Hm</think>Hi'), { text: '<think>Hm</think>Hi' }],
      ],
      { reasoningTags: ['thought', '[THINK]'] },
    ));
});
