import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { config as ollamaConfig } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { config as openAiConfig } from '../../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { events, lines, type Script, type Step, startScriptedServer } from '../../support/scripted-server.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

const limits = { firstTokenTimeoutMs: 600, tokenTimeoutMs: 600 };
const create = {
  openai: (url: string) => new OpenAiAgent('openai', openAiConfig.parse({ baseUrl: `${url}/v1`, ...limits })),
  ollama: (url: string) => new OllamaAgent(ollamaConfig.parse({ baseUrl: url, ...limits })),
};

/** Every 25 ms one of them, for longer than a silence may be. */
const dripped = (pieces: readonly Step[]): readonly Step[] =>
  pieces.flatMap((piece, place) => [piece, delay(25 * (place + 1))]);
const often = <T>(piece: T) => Array.from({ length: 40 }, () => piece);

const delta = (more: object, finish_reason: string | null = null) =>
  events({ choices: [{ index: 0, delta: more, finish_reason }] });
const call = (more: object) => delta({ tool_calls: [{ index: 0, ...more }] });
const hi = delta({ content: 'Hi' });
const end = `${delta({}, 'stop')}data: [DONE]\n\n`;
const line = (message: object, more: object = { done: false }) => lines({ model: 'm', message, ...more });
const lastLine = line({ role: 'assistant', content: 'Hi' }, { done: true, done_reason: 'stop' });

type Row = readonly [name: string, dialect: keyof typeof create, body: readonly Step[]];

const alive: readonly Row[] = [
  [
    'the arguments of a tool call',
    'openai',
    [
      hi,
      call({ id: 'a', function: { name: 'f', arguments: '{"x":"' } }),
      ...often(call({ function: { arguments: 'y' } })),
      call({ function: { arguments: '"}' } }),
      end,
    ],
  ],
  [
    'the arguments of a tool call, before anything else',
    'openai',
    [
      call({ id: 'a', function: { name: 'f', arguments: '{"x":"' } }),
      ...often(call({ function: { arguments: 'y' } })),
      call({ function: { arguments: '"}' } }),
      hi,
      end,
    ],
  ],
  ['comments before the first token', 'openai', [...often(': PROCESSING\n\n'), hi, end]],
  ['comments between two tokens', 'openai', [hi, ...often(': PROCESSING\n\n'), end]],
  ['deltas that say nothing', 'openai', [...often(delta({ role: 'assistant', content: '' })), hi, end]],
  ['fields that are not known', 'openai', [hi, ...often(delta({ audio: null })), end]],
  ['events without a choice', 'openai', [hi, ...often(events({ choices: [] })), end]],
  ['one long event', 'openai', ['data: {"x":"', ...often('y'), '"}\n\n', hi, end]],
  [
    'a body in one piece',
    'openai',
    ['{"x":"', ...often('y'), '","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'],
  ],
  ['one long line', 'ollama', ['{"x":"', ...often('y'), '"}\n', lastLine]],
  ['lines that say nothing', 'ollama', [...often(line({ role: 'assistant', content: '' })), lastLine]],
  ['blank lines', 'ollama', [line({ content: '' }), ...often('\n'), lastLine]],
];

const stalled: readonly Row[] = [
  [
    'in the middle of a tool call',
    'openai',
    [hi, call({ id: 'a', function: { name: 'f', arguments: '{"x":"' } })],
  ],
  ['in the middle of an event', 'openai', [hi, 'data: {"cho']],
  ['after a comment', 'openai', [': PROCESSING\n\n']],
  ['in the middle of a body', 'openai', ['{"choices":[']],
  ['in the middle of a line', 'ollama', ['{"model":']],
];

/** What becomes of an answer. */
async function answered(dialect: keyof typeof create, script: () => Script) {
  const server = await startScriptedServer(script);
  const agent = create[dialect](server.url);
  const answer = await wholeAnswer(agent, hello('m'));
  agent.close();
  await server.close();
  return answer;
}

describe.concurrent('a model server is not silent as long as it sends', () => {
  it.each(alive)('%s', async (_, dialect, body) => {
    const { text, error } = await answered(dialect, () => ({ body: dripped(body) }));
    expect(error).toBeUndefined();
    expect(text).toBe('Hi');
  });
});

describe.concurrent('a model server that stops is given up', () => {
  it.each(stalled)('%s', async (_, dialect, body) => {
    expect((await answered(dialect, () => ({ body, end: 'open' }))).error).toMatchObject({
      code: 'AGENT_TIMEOUT',
    });
  });
});
