import { describe, expect, it } from 'vitest';
import { config as ollamaConfig } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { config as openAiConfig } from '../../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { embedder, embeddingsContract, reply } from '../../contracts/embeddings.contract.js';
import { rejection } from '../../support/kernel.js';
import { type Scripts, startScriptedServer } from '../../support/scripted-server.js';

const ollama = (baseUrl: string, options: object = {}) =>
  new OllamaAgent(ollamaConfig.parse({ baseUrl, ...options }));
const openAi = (url: string, options: object = {}) =>
  new OpenAiAgent('a', openAiConfig.parse({ baseUrl: `${url}/v1`, ...options }));

const base64 = (vector: readonly number[]) => Buffer.from(new Float32Array(vector).buffer).toString('base64');
const entries = (vectors: unknown): unknown =>
  Array.isArray(vectors)
    ? vectors.map((embedding, index) => ({ object: 'embedding', index, embedding }))
    : vectors;

for (const upstream of ['auto', 'node']) {
  embeddingsContract(`agent-ollama, ${upstream}`, {
    create: (url, options) => ollama(url, { upstream, ...options }),
    path: '/api/embed',
    answer: (embeddings, more) => ({ model: 'm', embeddings, total_duration: 1, ...more }),
    list: {
      version: '1',
      models: [
        { name: 'chatter', capabilities: ['completion'] },
        { name: 'embedder', capabilities: ['embedding'] },
      ],
    },
  });
  embeddingsContract(`agent-openai, ${upstream}`, {
    create: (url, options) => openAi(url, { upstream, ...options }),
    path: '/v1/embeddings',
    answer: (vectors, more) => ({ object: 'list', data: entries(vectors), model: 'm', ...more }),
    list: { data: [{ id: 'chatter' }, { id: 'embedder', type: 'embedding' }] },
  });
}

describe('agent-ollama', () => {
  it('tells the tokens, and passes its options on', async () => {
    const answer = reply({ embeddings: [[1], [2]], prompt_eval_count: 7 });
    const options = { keepAlive: '-1', numCtx: 2048, options: { num_gpu: 2, top_k: 1 } };
    const { embed, server, close } = await embedder(ollama, answer, { options });
    const more = { options: { num_gpu: 3 }, user: 'ann' };
    expect(await embed({ truncate: false, more })).toMatchObject({
      usage: { inputTokens: 7, outputTokens: 0 },
    });
    await embed({ more: { keep_alive: '5m' } });
    const [first, second] = server.chats.map(({ body }) => body);
    expect(first).toEqual({
      model: 'm',
      input: ['a', 'b'],
      truncate: false,
      keep_alive: -1,
      options: { num_gpu: 3, top_k: 1, num_ctx: 2048 },
    });
    expect(second.keep_alive).toBe('5m');
    await close();
  });

  it('a model that was installed a moment ago is found', async () => {
    const models = [{ name: 'chat', capabilities: ['completion'] }];
    const gets: Scripts = () => reply({ version: '1', models });
    const { agent, embed, server, close } = await embedder(ollama, reply({ embeddings: [[1], [2]] }), {
      gets,
    });
    await agent.health(new AbortController().signal);
    models.push({ name: 'new', capabilities: ['embedding'] });
    await embed({ model: undefined });
    expect(server.chats[0]?.body.model).toBe('new');
    await close();
  });

  it('without a model for embeddings it lacks them, and says what to do', async () => {
    const { embed, close } = await embedder(ollama, {});
    const error = await rejection(embed({ model: undefined }));
    expect(error).toMatchObject({ code: 'AGENT_FAILED', details: { lacks: 'embeddings' } });
    expect(error.message).toContain('ollama pull');
    await close();
  });

  it('the configured model is asked, if it makes embeddings', async () => {
    const models = ['one', 'two', 'chat'].map((name) => ({
      name: `${name}:latest`,
      capabilities: [name === 'chat' ? 'completion' : 'embedding'],
    }));
    for (const [model, asked] of [
      ['two', 'two:latest'],
      ['chat', 'one:latest'],
      ['', 'one:latest'],
    ] as const) {
      const { embed, server, close } = await embedder(ollama, reply({ embeddings: [[1], [2]] }), {
        gets: reply({ version: '1', models }),
        options: { model },
      });
      await embed({ model: undefined });
      expect(server.chats[0]?.body.model).toBe(asked);
      await close();
    }
  });
});

describe('agent-openai', () => {
  const vectors = [
    [0.5, -2],
    [3, 0.25],
  ];

  it.each<[what: string, data: unknown, embeddings?: unknown]>([
    ['in base64', entries(vectors.map(base64))],
    ['as numbers', entries(vectors)],
    ['in another order', (entries(vectors) as unknown[]).toReversed()],
    ['without an index', vectors.map((embedding) => ({ embedding }))],
    ['all with the same index', vectors.map((embedding) => ({ embedding, index: 0 }))],
  ])('reads vectors %s', async (_, data) => {
    const usage = { prompt_tokens: 5, total_tokens: 5 };
    const { embed, server, close } = await embedder(openAi, reply({ data, usage }));
    expect(await embed()).toEqual({ embeddings: vectors, usage: { inputTokens: 5, outputTokens: 0 } });
    expect(server.chats[0]?.body.encoding_format).toBe('base64');
    await close();
  });

  it.each<[what: string, body: unknown]>([
    ['a bare list', vectors.map((embedding, index) => ({ embedding, index }))],
    ['another type', { object: 'x', data: entries(vectors), model: '', usage: { total_tokens: 3 } }],
  ])('reads %s', async (_, body) => {
    const { embed, close } = await embedder(openAi, reply(body));
    expect(await embed()).toMatchObject({ embeddings: vectors });
    await close();
  });

  it.each<[what: string, data: unknown]>([
    ['with half a number', [{ embedding: 'AAA=' }, { embedding: 'AAA=' }]],
    ['in base64 of nothing', [{ embedding: '!' }, { embedding: '' }]],
    ['that is not a number', [{ embedding: base64([Number.NaN]) }, { embedding: base64([1]) }]],
    ['with a missing index', [{ embedding: [1], index: 0 }, { embedding: [2] }]],
    ['with the index of another', [0, 2].map((index) => ({ embedding: [1], index }))],
    ['with an odd index', [0, -1].map((index) => ({ embedding: [1], index }))],
    ['that are none', [null, 5]],
  ])('refuses vectors %s', async (_, data) => {
    const { embed, close } = await embedder(openAi, reply({ data }));
    expect(await rejection(embed())).toMatchObject({ code: 'AGENT_PROTOCOL' });
    await close();
  });

  it('asks for numbers from then on where base64 is refused', async () => {
    const scripts: Scripts = ({ body }) =>
      body.encoding_format
        ? reply({ error: { message: 'encoding_format: only float is supported' } }, 400)
        : reply({ data: entries(vectors) });
    const { embed, server, close } = await embedder(openAi, scripts);
    for (let request = 0; request < 2; request++)
      expect(await embed()).toMatchObject({ embeddings: vectors });
    expect(server.chats.map(({ body }) => body.encoding_format)).toEqual(['base64', undefined, undefined]);
    await close();
  });

  it('passes unknown options on, and the key', async () => {
    const { embed, server, close } = await embedder(openAi, reply({ data: entries(vectors) }), {
      options: { apiKey: 'sk-secret' },
    });
    await embed({ more: { input_type: 'query', model: 'x' }, truncate: true, userId: 'ann' });
    const [{ body, headers } = {} as never] = server.chats;
    expect(body).toEqual({ model: 'm', input: ['a', 'b'], input_type: 'query', encoding_format: 'base64' });
    expect(headers.authorization).toBe('Bearer sk-secret');
    await close();
  });

  it.each<[what: string, list: object | undefined, model: string, asked: string | undefined]>([
    ['no list', undefined, '', undefined],
    ['no list and a configured model', undefined, 'x', 'x'],
    ['one model that may do anything', { data: [{ id: 'only' }] }, '', 'only'],
    [
      'a name',
      { data: [{ id: 'gpt-5' }, { id: 'text-embedding-3-small' }] },
      'gpt-5',
      'text-embedding-3-small',
    ],
    ['no model', { data: [] }, '', undefined],
  ])('with %s it asks for the model that is left', async (_, list, model, asked) => {
    const gets = list ? reply(list) : { status: 404 };
    const { embed, server, close } = await embedder(openAi, reply({ data: entries(vectors) }), {
      gets,
      options: { model },
    });
    await embed({ model: undefined });
    expect(server.chats[0]?.body.model).toBe(asked);
    await close();
  });

  it('an answer over the limit is refused, and its connection closed', async () => {
    const server = await startScriptedServer({ body: 'x'.repeat(65 << 20) });
    const agent = openAi(server.url);
    const { signal } = new AbortController();
    const asked = agent.embed({ input: ['a'], model: 'm' }, { signal, logger: { debug() {} } as never });
    expect(await rejection(asked)).toMatchObject({
      code: 'AGENT_PROTOCOL',
      details: { why: 'its answer is too large' },
    });
    await server.chats[0]?.closed;
    agent.close();
    await server.close();
  });
});
