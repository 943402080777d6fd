import { Ollama } from 'ollama';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WaggleError } from '#kernel';
import { accessPlugin } from '../../support/access.js';
import { done, text } from '../../support/agents.js';
import { eventually } from '../../support/eventually.js';
import { type Hive, startHive } from '../../support/hive.js';
import { look, StageAgent, think, withAgent } from './stage.js';

const agent = new StageAgent('stage');
const messages = [{ role: 'user', content: 'Hallo' }];
const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }];

let hive: Hive;
let client: Ollama;
beforeAll(async () => {
  hive = await startHive({ plugins: [withAgent(agent)] });
  client = new Ollama({ host: hive.url });
});
afterAll(() => hive.close());
beforeEach(() => {
  agent.script = [text('Hello '), text('there'), done];
  agent.requests.length = 0;
});

describe('the official client', () => {
  it('lists the models, and shows one by its name, with and without the default tag', async () => {
    const { models } = await client.list();
    expect(models.map(({ name }) => name)).toEqual(['queen', 'eliza', 'stage']);
    expect(models[0]).toMatchObject({ model: 'queen', size: 0, details: { family: 'waggle' } });
    expect(models[2]).toMatchObject({ capabilities: ['completion', 'tools'] });
    for (const model of ['stage', 'stage:latest'])
      expect(await client.show({ model })).toMatchObject({ capabilities: ['completion', 'tools'] });
    expect(await client.ps()).toEqual({ models: [] });
    expect((await client.version()).version).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('chats, whole and streamed', async () => {
    const whole = await client.chat({ model: 'stage', messages });
    expect(whole).toMatchObject({
      model: 'stage',
      message: { role: 'assistant', content: 'Hello there' },
      done: true,
      done_reason: 'stop',
      prompt_eval_count: 1,
      eval_count: 2,
    });
    const pieces: string[] = [];
    for await (const { message } of await client.chat({ model: 'stage:latest', messages, stream: true }))
      pieces.push(message.content);
    expect(pieces).toEqual(['Hello ', 'there', '']);
  });

  it('generates, whole and streamed', async () => {
    const asked = { model: 'stage', prompt: 'Hallo', system: 'Be brief' };
    expect(await client.generate(asked)).toMatchObject({ response: 'Hello there', done: true });
    expect(agent.requests.at(-1)?.messages).toEqual([
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'Hallo' },
    ]);
    let all = '';
    for await (const { response } of await client.generate({ ...asked, stream: true })) all += response;
    expect(all).toBe('Hello there');
  });

  it('has thinking apart from the text', async () => {
    agent.script = [think('Hm, '), think('well'), text('Hi'), done];
    const { message } = await client.chat({ model: 'stage', messages, think: true });
    expect(message).toEqual({ role: 'assistant', content: 'Hi', thinking: 'Hm, well' });
    expect(agent.requests.at(-1)?.options?.providerOptions).toEqual({ ollama: { think: true } });
    let thinking = '';
    for await (const part of await client.chat({ model: 'stage', messages, think: 'high', stream: true }))
      thinking += part.message.thinking ?? '';
    expect(thinking).toBe('Hm, well');
    expect(agent.requests.at(-1)?.options?.reasoningEffort).toBe('high');
  });

  it('runs tools', async () => {
    agent.script = [look('{"city":"Rome"}'), { type: 'done', reason: 'tool_calls' }];
    const { message } = await client.chat({ model: 'stage', messages, tools });
    expect(message.tool_calls).toEqual([
      { id: 'c1', function: { index: 0, name: 'look', arguments: { city: 'Rome' } } },
    ]);
    agent.script = [text('Sunny'), done];
    const result = { role: 'tool', content: '25', tool_name: 'look' };
    await client.chat({ model: 'stage', messages: [...messages, message, result], tools });
    expect(agent.requests.at(-1)).toMatchObject({
      messages: [
        { role: 'user' },
        {
          role: 'assistant',
          toolCalls: [{ id: 'c1', name: 'look', arguments: '{"city":"Rome"}' }],
        },
        { role: 'tool', content: '25', toolCallId: 'c1', toolName: 'look' },
      ],
      options: { tools: [{ name: 'look', parameters: { type: 'object' } }] },
    });
  });

  it('sends images', async () => {
    const images = [Buffer.from([0xff, 0xd8, 0xff, 1]), Buffer.from('RIFF')];
    await client.chat({ model: 'stage', messages: [{ role: 'user', content: 'What?', images }] });
    expect(agent.requests.at(-1)?.messages[0]?.images).toEqual([
      'data:image/jpeg;base64,/9j/AQ==',
      'data:image/webp;base64,UklGRg==',
    ]);
  });

  it('makes embeddings', async () => {
    const options = { num_ctx: 100 };
    const asked = { model: 'stage', input: ['a', 'bee'], truncate: false, dimensions: 2, options };
    expect(await client.embed({ ...asked, keep_alive: '1m' })).toMatchObject({
      model: 'stage',
      prompt_eval_count: 7,
      embeddings: [
        [1, 0.25],
        [3, 0.25],
      ],
    });
    expect(agent.embedded.at(-1)).toMatchObject({
      truncate: false,
      dimensions: 2,
      providerOptions: { ollama: { keep_alive: '1m', options } },
    });
    expect(await client.embeddings({ model: 'stage', prompt: 'abc' })).toEqual({ embedding: [3, 0.25] });
  });

  it('stops the agent when it leaves', async () => {
    agent.script = [text('Hi'), 'wait'];
    const stream = await client.chat({ model: 'stage', messages, stream: true });
    const reading = (async () => {
      for await (const _ of stream) stream.abort();
    })();
    await expect(reading).rejects.toThrow(/abort/i);
    await eventually(() => expect(agent.running).toBe(0));
  });

  it.each([true, false])(
    'stops the agent when it leaves before the first token, stream: %s',
    async (stream) => {
      agent.script = ['wait'];
      const leaving = new AbortController();
      const fetchWith = (url: unknown, init?: RequestInit) =>
        fetch(String(url), { ...init, signal: leaving.signal });
      const hasty = new Ollama({ host: hive.url, fetch: fetchWith as typeof fetch });
      const asked = hasty.chat({ model: 'stage', messages, stream: stream as true });
      asked.catch(() => {});
      await eventually(() => expect(agent.running).toBe(1));
      leaving.abort();
      await eventually(() => expect(agent.running).toBe(0));
    },
  );

  it.each<[string, () => Promise<unknown>, number, RegExp]>([
    [
      'a model that is not there',
      () => client.chat({ model: 'nope', messages }),
      404,
      /^model 'nope' not found$/,
    ],
    ['none', () => client.chat({ model: '', messages }), 400, /^model is required$/],
    ['to show none', () => client.show({ model: 'stage/x' }), 404, /^model 'stage\/x' not found$/],
    [
      'a wrong option',
      () => client.chat({ model: 'stage', messages, options: { seed: 'x' as never } }),
      400,
      /seed/,
    ],
    [
      'to fill in',
      () => client.generate({ model: 'stage', prompt: 'a', suffix: 'b' }),
      400,
      /support insert$/,
    ],
    ['no template', () => client.generate({ model: 'stage', prompt: 'a', raw: true }), 400, /raw/],
    ['to pull', () => client.pull({ model: 'x' }), 501, /manages no models/],
    ['to delete', () => client.delete({ model: 'x' }), 501, /manages no models/],
    ['to copy', () => client.copy({ source: 'x', destination: 'y' }), 501, /manages no models/],
  ])('gets the error that it knows, asked for %s', async (_, ask, status, message) => {
    await expect(ask()).rejects.toMatchObject({
      name: 'ResponseError',
      status_code: status,
      message: expect.stringMatching(message),
    });
  });

  it('gets a status of its own for a failure before the answer, and the text of one in it', async () => {
    const failure = new WaggleError('AGENT_FAILED', { agent: 'stage', why: 'it broke' });
    agent.script = [failure];
    const early = client.chat({ model: 'stage', messages, stream: true });
    await expect(early).rejects.toMatchObject({ status_code: 500, error: expect.stringMatching(/it broke/) });
    agent.script = [text('Hi'), failure];
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { message } of await client.chat({ model: 'stage', messages, stream: true }))
        seen.push(message.content);
    })();
    await expect(reading).rejects.toThrow(/it broke/);
    expect(seen).toEqual(['Hi']);
  });
});

describe('the official client with an access plugin, over transport-node', () => {
  let closed: Hive;
  beforeAll(async () => {
    closed = await startHive({ transport: 'node', plugins: [withAgent(agent), accessPlugin()] });
  });
  afterAll(() => closed.close());

  it('asks with its token, and the agent knows the user', async () => {
    const headers = { authorization: 'Bearer token-of-ann' };
    const known = new Ollama({ host: closed.url, headers });
    await known.chat({ model: 'stage', messages });
    expect(agent.requests.at(-1)).toMatchObject({ userId: 'ann' });
    await known.embed({ model: 'stage', input: 'a' });
    expect(agent.embedded.at(-1)).toMatchObject({ userId: 'ann' });
    const stranger = new Ollama({ host: closed.url });
    await expect(stranger.list()).rejects.toMatchObject({ status_code: 401 });
  });
});
