import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { ModelDetails } from '#kernel';
import { config as ollamaConfig } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { ShownModels } from '../../../plugins/agent-ollama/shown-models.js';
import { modelsIn } from '../../../plugins/agent-openai/models.js';
import { expectAtOnce, roundTripMs } from '../../support/at-once.js';
import { eventually } from '../../support/eventually.js';
import { deferred } from '../../support/kernel.js';
import { leakCheck } from '../../support/leaks.js';
import { type Scripts, startScriptedServer } from '../../support/scripted-server.js';

const headers = { 'content-type': 'application/json' };
const { signal } = new AbortController();

describe('of the models of a server with the API of OpenAI', () => {
  it.each<[what: string, entry: object, details: Omit<ModelDetails, 'name'>]>([
    ['a bare name', {}, {}],
    ['vLLM', { max_model_len: 32768, root: 'x' }, { contextLength: 32768 }],
    ['llama-server', { meta: { n_ctx: 4096, n_ctx_train: 131072 } }, { contextLength: 4096 }],
    ['an older llama-server', { meta: { n_ctx_train: 131072 } }, { contextLength: 131072 }],
    [
      'OpenRouter',
      {
        context_length: 200_000,
        architecture: { input_modalities: ['text', 'image'], output_modalities: ['text'] },
        supported_parameters: ['max_tokens', 'tools', 'tool_choice', 'reasoning'],
        top_provider: { context_length: 128_000 },
      },
      { capabilities: ['completion', 'vision', 'tools', 'thinking'], contextLength: 128_000 },
    ],
    [
      'Mistral',
      {
        capabilities: { completion_chat: true, function_calling: true, vision: false },
        max_context_length: 32_768,
      },
      { capabilities: ['completion', 'tools'], contextLength: 32_768 },
    ],
    [
      'LM Studio',
      {
        type: 'vlm',
        capabilities: ['tool_use'],
        max_context_length: 131_072,
        loaded_context_length: 4096,
      },
      { capabilities: ['completion', 'vision', 'tools'], contextLength: 4096 },
    ],
    [
      'embeddings of LM Studio',
      { type: 'embeddings', max_context_length: 2048 },
      { capabilities: ['embedding'], contextLength: 2048 },
    ],
    [
      'Fireworks',
      { supports_chat: true, supports_tools: true, supports_image_input: false, context_length: 1000 },
      { capabilities: ['completion', 'tools'], contextLength: 1000 },
    ],
    ['Groq', { context_window: 8192 }, { contextLength: 8192 }],
    ['DeepInfra', { metadata: { context_length: 8192 } }, { contextLength: 8192 }],
    ['one that draws', { architecture: { output_modalities: ['image'] } }, {}],
    ['a name that embeds', { id: 'text-embedding-3-small' }, { capabilities: ['embedding'] }],
    ['a name of another use', { id: 'whisper-1' }, { capabilities: [] }],
    [
      'one that embeds and chats',
      { capabilities: ['completion', 'embedding'] },
      { capabilities: ['completion', 'embedding'] },
    ],
    ['nonsense', { meta: 'x', context_length: '4096', max_model_len: -1, capabilities: [5] }, {}],
  ])('%s is understood', (_, entry, details) => {
    const list = JSON.stringify({ data: [{ id: 'x', ...entry }] });
    const [{ name: __, capabilities, ...rest } = { name: '' }] = modelsIn(list);
    const found = { ...rest, ...(capabilities && { capabilities: new Set(capabilities) }) };
    const { capabilities: wanted, ...others } = details;
    expect(found).toEqual({ ...others, ...(wanted && { capabilities: new Set(wanted) }) });
  });

  it('two lists of llama-server are one', () => {
    const list = {
      models: [{ name: 'm', model: 'm', capabilities: ['completion', 'multimodal'] }],
      data: [{ id: 'm', object: 'model', meta: { n_ctx: 4096 } }],
    };
    expect(modelsIn(JSON.stringify(list))).toEqual([
      { name: 'm', capabilities: ['completion', 'vision'], contextLength: 4096 },
    ]);
  });
});

const tagged = (name: string, more: object = {}) => ({ name, model: name, digest: `${name}-1`, ...more });
const shown = (body: object) => ({ headers, body: JSON.stringify(body) });

/** An agent of an Ollama that lists and shows these models. */
async function ollama(models: readonly object[] | Scripts, shows: Scripts = { status: 404 }, options = {}) {
  const gets: Scripts = Array.isArray(models)
    ? { headers, body: JSON.stringify({ version: '1', models }) }
    : (models as Scripts);
  const server = await startScriptedServer({}, { gets, shows });
  const agent = new OllamaAgent(ollamaConfig.parse({ baseUrl: server.url, ...options }));
  const asked = () => server.requests.filter(({ path }) => path === '/api/show');
  return {
    server,
    agent,
    /** The models that were asked about. */
    asked: () => asked().map(({ body }) => body.model),
    details: async () => (await agent.health(signal)).modelDetails,
    async close() {
      agent.close();
      await server.close();
    },
  };
}

describe('of the models of Ollama', () => {
  it('what a list states counts at once', async () => {
    const models = [
      tagged('a', { capabilities: ['completion', 'tools', 'insert'], details: { context_length: 4096 } }),
      tagged('e', { capabilities: ['embedding'], details: { context_length: 512 } }),
      tagged('i', { capabilities: ['image'], details: { context_length: 1 } }),
    ];
    const { agent, close } = await ollama(models);
    expect(await agent.health(signal)).toMatchObject({
      models: ['a'],
      modelDetails: [
        { name: 'a', capabilities: ['completion', 'tools'], contextLength: 4096 },
        { name: 'e', capabilities: ['embedding'], contextLength: 512 },
      ],
    });
    await close();
  });

  it('what a server says of one model counts for more than its list', async () => {
    const models = [
      tagged('a', { capabilities: ['completion'] }),
      tagged('e', { capabilities: ['completion'] }),
    ];
    const { agent, close } = await ollama(models, ({ body }) =>
      shown({ capabilities: [body.model === 'e' ? 'embedding' : 'completion'] }),
    );
    expect((await agent.health(signal)).models).toEqual(['a', 'e']);
    await eventually(async () =>
      expect(await agent.health(signal)).toMatchObject({
        models: ['a'],
        modelDetails: [
          { name: 'a', capabilities: ['completion'] },
          { name: 'e', capabilities: ['embedding'] },
        ],
      }),
    );
    await close();
  });

  it('each is asked for once, one model at a time, until a model changes', async () => {
    const leaks = leakCheck();
    let digest = 1;
    const list: Scripts = () => {
      const models = ['a', 'b', 'c'].map((name) => tagged(name, { digest: `${name}-${digest}` }));
      return { headers, body: JSON.stringify({ version: '1', models }) };
    };
    const answer = {
      capabilities: ['completion', 'thinking'],
      model_info: { 'general.architecture': 'qwen3', 'qwen3.context_length': 40_960 },
    };
    const held = deferred<unknown>();
    const { asked, details, close, server } = await ollama(list, () => ({
      headers,
      body: [held.promise, JSON.stringify(answer)],
    }));
    expect(await details()).toBeUndefined();
    await eventually(() => expect(asked()).toEqual(['a']));
    // Others would have come before the answer to this.
    for (let check = 0; check < 3; check++) await details();
    expect(asked()).toEqual(['a']);
    held.resolve(undefined);
    const facts = { capabilities: ['completion', 'thinking'], contextLength: 40_960 };
    const all = ['a', 'b', 'c'].map((name) => ({ name, ...facts }));
    await eventually(async () => expect(await details()).toEqual(all));
    expect(asked()).toEqual(['a', 'b', 'c']);
    for (let check = 0; check < 3; check++) expect(await details()).toEqual(all);
    expect(asked()).toHaveLength(3);
    digest++;
    await details();
    await eventually(async () => expect(await details()).toEqual(all));
    expect(asked()).toHaveLength(6);
    expect(server.chats).toEqual([]);
    await close();
    await leaks.settled();
  });

  it.each<[what: string, shows: Scripts]>([
    ['none', { status: 404, body: '404 page not found' }],
    ['an error', { status: 500, body: '{"error":"no"}' }],
    ['a page', { body: '<html>' }],
    ['null', { body: 'null' }],
    ['nonsense', shown({ capabilities: 'x', model_info: { 'a.context_length': 'y' } })],
    ['a redirect', { status: 302, headers: { location: '/' } }],
  ])('a server that answers with %s is asked once, and stays healthy', async (_, shows) => {
    const { agent, asked, close } = await ollama([tagged('a'), tagged('nomic-embed-text')], shows);
    expect(await agent.health(signal)).toMatchObject({ healthy: true, models: ['a'] });
    await eventually(() => expect(asked()).toEqual(['a', 'nomic-embed-text']));
    for (let check = 0; check < 3; check++)
      expect(await agent.health(signal)).toMatchObject({ healthy: true });
    // By its name.
    expect((await agent.health(signal)).modelDetails).toEqual([
      { name: 'nomic-embed-text', capabilities: ['embedding'] },
    ]);
    expect(asked()).toHaveLength(2);
    await close();
  });

  it('no health check waits for a description, and the end of the agent ends it', async () => {
    const leaks = leakCheck();
    const held = deferred<unknown>();
    const { agent, asked, close, server } = await ollama([tagged('a')], { body: held.promise });
    const base = await roundTripMs(`${server.url}/api/version`);
    await agent.health(signal);
    await eventually(() => expect(asked()).toEqual(['a']));
    const since = performance.now();
    expect(await agent.health(signal)).toMatchObject({ healthy: true, models: ['a'] });
    expectAtOnce(performance.now() - since, base);
    expect(asked()).toEqual(['a']);
    const show = server.requests.find(({ path }) => path === '/api/show');
    agent.close();
    await show?.closed;
    held.resolve(undefined);
    await close();
    await leaks.settled();
  });

  it('a server that does not answer in time is asked once about each', async () => {
    const body = deferred<unknown>().promise;
    const { agent, asked, close, server } = await ollama(
      [tagged('a'), tagged('b')],
      { body },
      { connectTimeoutMs: 100 },
    );
    await agent.health(signal);
    await eventually(() => expect(asked()).toEqual(['a', 'b']));
    await server.requests.at(-1)?.closed;
    for (let check = 0; check < 3; check++)
      expect(await agent.health(signal)).toMatchObject({ healthy: true, models: ['a', 'b'] });
    await nextTurn();
    await agent.health(signal);
    expect(asked()).toHaveLength(2);
    await close();
  });

  it('none is asked for once the agent is closed', async () => {
    const show = vi.fn(async () => ({}));
    const models = new ShownModels(show, 1000);
    models.refresh([{ name: 'a' }]);
    models.close();
    await nextTurn();
    await nextTurn();
    expect(show).not.toHaveBeenCalled();
  });

  it('a smaller context window of the config counts', async () => {
    const models = [
      tagged('a', { capabilities: ['completion'], details: { context_length: 8192 } }),
      tagged('b', { capabilities: ['completion'], details: { context_length: 1024 } }),
    ];
    const { details, close } = await ollama(models, {}, { numCtx: 2048 });
    expect((await details())?.map(({ contextLength }) => contextLength)).toEqual([2048, 1024]);
    await close();
  });
});
