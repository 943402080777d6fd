import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import agentOllama from '../../plugins/agent-ollama/index.js';
import agentOpenai from '../../plugins/agent-openai/index.js';
import { doors, type Got } from '../support/doors.js';
import { type Hive, startHive } from '../support/hive.js';
import {
  events,
  lines,
  type ScriptedServer,
  type Step,
  startScriptedServer,
} from '../support/scripted-server.js';

const silenceMs = 500;

/** Pieces with a short gap between them, for longer than a silence may last. */
const often = (piece: string): readonly Step[] => Array.from({ length: 30 }, () => piece);
const dripped = (pieces: readonly Step[]): readonly Step[] =>
  pieces.flatMap((piece, place) => [piece, delay(25 * (place + 1))]);

const delta = (more: object, finish_reason: string | null = null) =>
  events({ choices: [{ index: 0, delta: more, finish_reason }] });
const call = (args: string, more: object = {}) =>
  delta({ tool_calls: [{ index: 0, ...more, function: { ...(more && { name: 'f' }), arguments: args } }] });
const hi = delta({ content: 'Hi' });
const begun = call('{"x":"', { id: 'a' });
const end = (reason = 'stop') => `${delta({}, reason)}data: [DONE]\n\n`;
const line = (message: object, more: object = { done: false }) => lines({ model: 'm', message, ...more });
const lastLine = line({ content: 'Hi' }, { done: true, done_reason: 'stop' });
const callLine = line({ tool_calls: [{ function: { name: 'f', arguments: { x: 'y'.repeat(30) } } }] });

type Rows = Readonly<
  Record<string, readonly [agent: 'openai' | 'ollama', body: readonly Step[], got: Partial<Got>]>
>;

const text = { text: 'Hi', reason: 'stop', code: undefined };
const called = { calls: [{ x: 'y'.repeat(30) }], reason: 'tool_calls', code: undefined };

const slow: Rows = {
  'a long tool call': ['openai', [begun, ...often(call('y')), call('"}'), end('tool_calls')], called],
  'a long tool call after text': [
    'openai',
    [hi, begun, ...often(call('y')), call('"}'), end('tool_calls')],
    { ...called, text: 'Hi' },
  ],
  thinking: [
    'openai',
    [...often(delta({ reasoning_content: 'hm' })), hi, end()],
    { ...text, thinking: 'hm'.repeat(30) },
  ],
  'comments before the first token': ['openai', [...often(': PROCESSING\n\n'), hi, end()], text],
  'comments after the first token': ['openai', [hi, ...often(': keep-alive\n\n'), end()], text],
  'a long event, byte by byte': ['openai', ['data: {"x":"', ...often('y'), '"}\n\n', hi, end()], text],
  'a long tool call in one line': [
    'ollama',
    [
      '{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"x":"',
      ...often('y'),
      '"}}}]}}\n',
      line({ content: '' }, { done: true, done_reason: 'stop' }),
    ],
    called,
  ],
  'thinking of Ollama': [
    'ollama',
    [...often(line({ thinking: 'hm' })), lastLine],
    { ...text, thinking: 'hm'.repeat(30) },
  ],
  'blank lines': [
    'ollama',
    [line({ content: 'Hi' }), ...often('\n'), lines({ done: true, done_reason: 'stop' })],
    text,
  ],
  'lines without content': ['ollama', [...often(line({ content: '' })), lastLine], text],
};

const timeout = { code: 'AGENT_TIMEOUT', reason: undefined };
const silent: Rows = {
  'before its first token': ['openai', [': PROCESSING\n\n'], { ...timeout, text: '' }],
  'after its first token': ['openai', [hi], { ...timeout, text: 'Hi' }],
  'in the middle of a tool call': ['openai', [hi, begun], { ...timeout, text: 'Hi' }],
  'while it thinks': ['openai', [delta({ reasoning_content: 'hm' })], { ...timeout, thinking: 'hm' }],
  'before its first line': ['ollama', [''], { ...timeout, text: '' }],
  'in the middle of a line': ['ollama', [line({ content: 'Hi' }), '{"mess'], { ...timeout, text: 'Hi' }],
  'after a line with a tool call': ['ollama', [callLine], { ...timeout, text: '' }],
};

const all = { ...slow, ...silent };

let hive: Hive;
let server: ScriptedServer;

beforeAll(async () => {
  // The model says which row is meant, so that all of them can wait at once.
  server = await startScriptedServer(({ body: { model } }) => ({
    body: dripped(all[model]?.[1] ?? []),
    end: model in silent ? 'open' : 'end',
  }));
  const limits = { firstTokenTimeoutMs: silenceMs, tokenTimeoutMs: silenceMs };
  hive = await startHive();
  await hive.kernel.load(agentOpenai, {
    id: 'agent-openai',
    config: { baseUrl: `${server.url}/v1`, ...limits },
  });
  await hive.kernel.load(agentOllama, { id: 'agent-ollama', config: { baseUrl: server.url, ...limits } });
});
afterAll(async () => {
  await hive.close();
  await server.close();
});

describe.concurrent.each(Object.keys(doors))('%s', (door) => {
  it.each(Object.entries(slow))(
    'a model that slowly sends %s is not cut off',
    async (row, [agent, , got]) => {
      expect(await doors[door]?.(hive, agent, row)).toMatchObject(got);
    },
  );

  it.each(Object.entries(silent))('a model that falls silent %s is given up', async (row, [agent, , got]) => {
    expect(await doors[door]?.(hive, agent, row)).toMatchObject(
      door === '/v1' ? { ...got, code: 'upstream_timeout' } : got,
    );
  });
});
