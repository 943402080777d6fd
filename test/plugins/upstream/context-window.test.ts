import { describe, expect, it } from 'vitest';
import type { ChatOptions, ContextWindow } from '#kernel';
import { tokensIn } from '../../../kernel/sdk/upstream/tokens-in.js';
import { config as ollamaConfig } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { config as openAiConfig } from '../../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { call } from '../../support/agents.js';
import { lines, type Script, type Seen, startScriptedServer } from '../../support/scripted-server.js';

const headers = { 'content-type': 'application/json' };
const json = (value: unknown): Script => ({ headers, body: JSON.stringify(value) });
const said = lines({ message: { content: 'Hi' }, done: true, done_reason: 'stop' });
const question = { id: 'q', messages: [{ role: 'user' as const, content: 'Hi' }] };

/** An Ollama whose model can read `largest` tokens and is loaded with `loaded`, and an agent for it. */
async function ollamaWith(config: object = {}, largest: number | null = 131_072, loaded = 0) {
  const models = [{ name: 'm:latest', ...(loaded > 0 && { context_length: loaded }) }];
  const gets = ({ path }: Seen) =>
    json(path === '/api/ps' ? { models: loaded > 0 ? models : [] } : { models, version: '1' });
  const shows =
    largest === null ? { status: 404 } : json({ model_info: { 'llama.context_length': largest } });
  const server = await startScriptedServer({ body: said }, { gets, shows });
  const agent = new OllamaAgent(ollamaConfig.parse({ baseUrl: server.url, model: 'm', ...config }));
  /** The window for so many tokens, and the `num_ctx` that is requested then. */
  const ask = async (tokens: number, options: ChatOptions = {}) => {
    const request = { ...question, options };
    const window = await agent.contextWindow(request, tokens, call());
    for await (const _ of agent.generateResponseStream(request, call()));
    return [window?.tokens, server.chats.at(-1)?.body.options.num_ctx];
  };
  return {
    server,
    ask,
    agent,
    close: async () => {
      agent.close();
      await server.close();
    },
  };
}

describe('the num_ctx of Ollama', () => {
  it('is its own as long as that is enough, then grows by powers of two, and never shrinks', async () => {
    const { ask, server, close } = await ollamaWith();
    const own = { providerOptions: { ollama: { options: { num_ctx: 3000 } } } };
    expect(await ask(4000)).toEqual([4096, undefined]);
    expect(await ask(4100)).toEqual([8192, 8192]);
    expect(await ask(100)).toEqual([8192, 8192]);
    expect(await ask(9000)).toEqual([16_384, 16_384]);
    expect(await ask(1_000_000)).toEqual([16_384, 16_384]);
    expect(await ask(100)).toEqual([16_384, 16_384]);
    // That of a request is left alone, and holds for it alone.
    expect(await ask(100, own)).toEqual([3000, 3000]);
    expect(await ask(100)).toEqual([16_384, 16_384]);
    const asked = server.requests.filter(({ path }) => /show|ps$/.test(path)).map(({ path }) => path);
    // A list of models makes the agent ask for all of them.
    expect(asked.filter((path) => path === '/api/ps')).toHaveLength(1);
    await close();
  });

  it.each<
    [what: string, config: object, largest: number, loaded: number, tokens: number, expected: unknown[]]
  >([
    ['at most what the model can read', {}, 6000, 0, 9000, [6000, 6000]],
    ['at most as configured', { maxNumCtx: 8192 }, 131_072, 0, 9000, [8192, 8192]],
    ['that with which the model is loaded', {}, 131_072, 32_768, 9000, [32_768, 32_768]],
    ['more where it is loaded with too few', {}, 131_072, 8192, 9000, [16_384, 16_384]],
    ['the configured one', { numCtx: 2048 }, 131_072, 0, 9000, [2048, 2048]],
    ['one among the configured options', { options: { num_ctx: 2048 } }, 131_072, 0, 9000, [2048, 2048]],
    ['that of a small model, which need not be requested', {}, 2048, 0, 9000, [2048, undefined]],
  ])('is %s', async (_, config, largest, loaded, tokens, expected) => {
    const { ask, close } = await ollamaWith(config, largest, loaded);
    expect(await ask(tokens)).toEqual(expected);
    await close();
  });

  it('is left alone where nothing is known of the model, and that is asked for once', async () => {
    const { ask, agent, server, close } = await ollamaWith({}, null);
    await agent.health(new AbortController().signal);
    for (let round = 0; round < 3; round++) expect(await ask(9000)).toEqual([undefined, undefined]);
    expect(server.requests.filter(({ path }) => path === '/api/ps')).toHaveLength(1);
    await close();
  });

  it('does not wait for what a short request does not need', async () => {
    const { agent, server, close } = await ollamaWith();
    await agent.health(new AbortController().signal);
    const before = server.requests.length;
    const window = agent.contextWindow(question, 100, call());
    expect(window).not.toBeInstanceOf(Promise);
    expect(server.requests.length).toBe(before);
    await close();
  });

  it('refuses rather than cuts where that is asked for', async () => {
    const { ask, server, close } = await ollamaWith();
    await ask(100);
    expect(server.chats.at(-1)?.body).not.toHaveProperty('truncate');
    await ask(100, { truncate: false });
    expect(server.chats.at(-1)?.body.truncate).toBe(false);
    await close();
  });
});

describe('the window of a model of a server with the API of OpenAI', () => {
  it.each<
    [
      what: string,
      entry: object,
      props: object | undefined,
      config: object,
      window: ContextWindow | undefined,
    ]
  >([
    ['is that of the list', { max_model_len: 9000 }, undefined, {}, { tokens: 9000 }],
    [
      'is the configured one where the list has none',
      {},
      undefined,
      { contextTokens: 5000 },
      { tokens: 5000 },
    ],
    ['is the smaller of both', { max_model_len: 9000 }, undefined, { contextTokens: 5000 }, { tokens: 5000 }],
    [
      'is not larger than that of the list',
      { max_model_len: 2000 },
      undefined,
      { contextTokens: 5000 },
      { tokens: 2000 },
    ],
    ['is unknown otherwise', {}, undefined, {}, undefined],
    [
      'is the one in use, not that of the training',
      { meta: { n_ctx_train: 131_072 } },
      { default_generation_settings: { n_ctx: 2048 } },
      {},
      { tokens: 2048 },
    ],
    [
      'is that of the training where the server tells no other',
      { meta: { n_ctx_train: 131_072 } },
      undefined,
      {},
      { tokens: 131_072 },
    ],
  ])('%s', async (_, entry, props, config, window) => {
    const gets = ({ path }: Seen) =>
      path === '/props' ? (props ? json(props) : { status: 404 }) : json({ data: [{ id: 'm', ...entry }] });
    const server = await startScriptedServer({}, { gets });
    const agent = new OpenAiAgent('o', openAiConfig.parse({ baseUrl: `${server.url}/v1`, ...config }));
    expect(await agent.contextWindow(question, 9000, call())).toEqual(window);
    agent.close();
    await server.close();
  });
});

describe('the numbers in a refusal of a long prompt', () => {
  it.each([
    [
      'request (10563 tokens) exceeds the available context size (4096 tokens), try increasing it',
      10_563,
      4096,
    ],
    [
      "This model's maximum context length is 4096 tokens. However, your messages resulted in 5123 tokens. Please reduce the length of the messages.",
      5123,
      4096,
    ],
    [
      "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion).",
      8000,
      8192,
    ],
    ['prompt is too long: 210000 tokens > 200000 maximum', 210_000, 200_000],
    ['the prompt is longer than the context length currently available to the model', undefined, undefined],
  ])('are read from: %s', (text, tokens, window) => {
    expect(tokensIn(text)).toEqual({
      ...(tokens !== undefined && { tokens }),
      ...(window !== undefined && { window }),
    });
  });
});
