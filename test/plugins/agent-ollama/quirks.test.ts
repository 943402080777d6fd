import { describe } from 'vitest';
import { config } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { type Quirk, quirks, quirksContract } from '../../contracts/quirks.contract.js';
import { lines } from '../../support/scripted-server.js';

const create = (baseUrl: string, options: object = {}) =>
  new OllamaAgent(config.parse({ baseUrl, ...options }));

const message = (more: object) => ({ message: { role: 'assistant', content: '', ...more }, done: false });
const text = (content: unknown) => message({ content });
const end = (more: object = { done_reason: 'stop' }) => ({ ...message({}), done: true, ...more });

for (const upstream of ['auto', 'node'])
  quirksContract(`agent-ollama, ${upstream}`, {
    create: (url, options) => create(url, { upstream, ...options }),
    whole: [lines(text('Hel')), lines(text('lo'), end())],
    inside: (error) => lines(error),
  });

const lost = 'AGENT_DISCONNECTED';
const failed = 'AGENT_FAILED';
const hi = text('Hi');

describe('whole means whole', () => {
  const ended = (done_reason: unknown) => ({ body: lines(hi, end({ done_reason })) });
  const wellEnded: readonly (readonly [word: unknown, reason: string])[] = [
    ['stop', 'stop'],
    ['length', 'length'],
    ['limit', 'length'],
    ['tool_calls', 'tool_calls'],
    // Old versions have none.
    [undefined, 'stop'],
    [null, 'stop'],
  ];
  quirks(create, [
    ...wellEnded.map(([word, reason]): Quirk => [`${word} ends well`, ended(word), { text: 'Hi', reason }]),
    ...['', 'error', 'abort', 'cancelled', 'load', 'unload', 'foo'].map(
      (word): Quirk => [`"${word}" does not`, ended(word), { text: 'Hi', code: lost, says: `"${word}"` }],
    ),
    ['an end without done', { body: lines(hi) }, { text: 'Hi', code: lost }],
    [
      'a reason without done',
      { body: lines(hi, { ...message({}), done_reason: 'stop' }) },
      { text: 'Hi', code: lost },
    ],
    [
      'done that is no truth',
      { body: lines(hi, { ...message({}), done: 'yes' }) },
      { text: 'Hi', code: lost },
    ],
    ['a half answer in one piece', { body: JSON.stringify(hi) }, { text: 'Hi', code: lost }],
    [
      'an error in one piece',
      { body: JSON.stringify({ ...hi, done: true, done_reason: 'error' }) },
      { text: 'Hi', code: lost },
    ],
    ['a half line', { body: `${lines(hi)}{"message":{"content":"x` }, { text: 'Hi', code: 'AGENT_PROTOCOL' }],
  ]);
});

describe('nothing is not an answer', () => {
  quirks(create, [
    ['load', { body: JSON.stringify(end({ done_reason: 'load' })) }, { code: lost, says: 'load' }],
    ['unload', { body: JSON.stringify(end({ done_reason: 'unload' })) }, { code: lost, says: 'unload' }],
    ['a reason alone', { body: lines(end()) }, { code: failed, says: 'empty' }],
    ['no reason', { body: lines({ done: true }) }, { code: failed, says: 'empty' }],
    ['empty pieces', { body: lines(text(''), text(null), end()) }, { code: failed, says: 'empty' }],
    ['its window is full', { body: lines(end({ done_reason: 'length' })) }, { code: failed, says: 'length' }],
    ['only thinking', { body: lines(message({ thinking: 'Hm' }), end()) }, { thinking: 'Hm' }],
    [
      'only a tool call',
      { body: lines(message({ tool_calls: [{ function: { name: 'f', arguments: {} } }] }), end()) },
      { reason: 'tool_calls' },
    ],
  ]);
});

describe('framing', () => {
  const whole = { ...hi, done: true, done_reason: 'stop' };
  quirks(create, [
    ['blank lines', { body: `\n\n${lines(hi, '', '  ', end())}\n` }, { text: 'Hi' }],
    ['one piece', { body: JSON.stringify(whole) }, { text: 'Hi' }],
    ['one piece, laid out', { body: JSON.stringify(whole, undefined, 2) }, { text: 'Hi' }],
    [
      'one piece, laid out, in two reads',
      { body: [...JSON.stringify(whole, undefined, 2).split(/(?<="Hi",\n)/)] },
      { text: 'Hi' },
    ],
    [
      'one piece, laid out and cut off',
      { body: JSON.stringify(whole, undefined, 2).slice(0, -3) },
      { code: 'AGENT_PROTOCOL', says: 'JSON' },
    ],
    [
      'events',
      { body: `: hello\n\nevent: message\ndata: ${JSON.stringify(hi)}\n\ndata:${JSON.stringify(end())}\n\n` },
      { text: 'Hi' },
    ],
    ['plain text', { body: 'Service is asleep' }, { code: 'AGENT_PROTOCOL', says: 'JSON' }],
    [
      'the end of the other dialect',
      { body: `data: ${JSON.stringify(hi)}\n\ndata: [DONE]\n\n` },
      { text: 'Hi', code: lost },
    ],
  ]);
});

describe('what an answer is made of', () => {
  quirks(create, [
    [
      'a list of parts',
      { body: lines(text([{ type: 'text', text: 'H' }, { text: 'i' }]), end()) },
      { text: 'Hi' },
    ],
    [
      'null',
      { body: lines(message({ content: null, thinking: null, tool_calls: null }), hi, end()) },
      { text: 'Hi' },
    ],
    [
      'no message',
      { body: lines({ done: false }, { message: null, done: false }, hi, end()) },
      { text: 'Hi' },
    ],
    ['no message at the end', { body: lines(hi, { done: true, done_reason: 'stop' }) }, { text: 'Hi' }],
    ['a number', { body: lines(text(5), end()) }, { code: 'AGENT_PROTOCOL', says: 'wrong type' }],
    [
      'fields and lines that are not known',
      {
        body: lines({ status: 'loading' }, message({ content: 'Hi', mood: 5, images: null }), end({ x: 1 })),
      },
      { text: 'Hi' },
    ],
    [
      'everything at once',
      { body: lines({ ...message({ content: 'Hi', thinking: 'Hm' }), done: true, done_reason: 'stop' }) },
      { text: 'Hi', thinking: 'Hm' },
    ],
  ]);
});

describe('what it has cost', () => {
  const used = (more: object) => ({ body: lines(hi, end({ done_reason: 'stop', ...more })) });
  quirks(create, [
    ['nothing was said of it', used({}), { text: 'Hi', usage: undefined }],
    ['null', used({ prompt_eval_count: null, eval_count: null }), { text: 'Hi', usage: undefined }],
    [
      'numbers',
      used({ prompt_eval_count: 5, eval_count: 7 }),
      { text: 'Hi', usage: { inputTokens: 5, outputTokens: 7 } },
    ],
    [
      'a prompt that it knew',
      used({ eval_count: 7 }),
      { text: 'Hi', usage: { inputTokens: 0, outputTokens: 7 } },
    ],
    ['texts', used({ eval_count: 'many' }), { text: 'Hi', usage: undefined }],
  ]);
});

describe('tags around thinking', () => {
  const said = (...pieces: readonly string[]) => ({ body: lines(...pieces.map(text), end()) });
  quirks(
    create,
    [
      ['whole', said('<think>Hm</think>Hi'), { text: 'Hi', thinking: 'Hm' }],
      [
        'in pieces',
        said('<th', 'ink>\nH', 'm\n</', 'think', '>\n', '\nH', 'i'),
        { text: 'Hi', thinking: 'Hm' },
      ],
      ['without an end', said('<think>Hm'), { thinking: 'Hm' }],
      ['half a tag', said('Hi <thi'), { text: 'Hi <thi' }],
    ],
    { reasoningTags: true },
  );
  quirks(create, [['that are not asked for', said('<think>Hm</think>Hi'), { text: '<think>Hm</think>Hi' }]]);
});
