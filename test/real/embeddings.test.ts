import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentHealth, EmbedRequest } from '#kernel';
import { config as ollamaConfig } from '../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../plugins/agent-ollama/ollama-agent.js';
import { config as openAiConfig } from '../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../plugins/agent-openai/openai-agent.js';
import { call } from '../support/agents.js';
import { eventually } from '../support/eventually.js';
import { rejection } from '../support/kernel.js';
import { installEmbeddingModel } from './embedding-model.js';
import { RealServer } from './real-server.js';

const lacking = { code: 'AGENT_FAILED', details: { lacks: 'embeddings', refused: 400 } };

interface Kind {
  start(): Promise<RealServer>;
  agentOf(server: RealServer): OllamaAgent | OpenAiAgent;
  readonly model: string;
}

const openAi = ({ url }: RealServer) =>
  new OpenAiAgent('llama', openAiConfig.parse({ baseUrl: `${url}/v1` }));
const ollama = ({ url }: RealServer) => new OllamaAgent(ollamaConfig.parse({ baseUrl: url }));

const kinds: readonly (readonly [string, Kind])[] = [
  [
    'a real Ollama',
    {
      async start() {
        const server = await RealServer.start({ program: 'ollama' });
        await installEmbeddingModel(server.url, 'embedder');
        return server;
      },
      agentOf: ollama,
      model: 'embedder',
    },
  ],
  [
    'a real llama-server',
    {
      start: () => {
        const args = ['say', '--alias', 'say', '--embeddings', '--pooling', 'mean'];
        return RealServer.start({ program: 'llama-server', args });
      },
      agentOf: openAi,
      model: 'say',
    },
  ],
];

describe.each(kinds)('embeddings of %s', (_, { start, agentOf, model }) => {
  let server: RealServer;
  let agent: OllamaAgent | OpenAiAgent;
  beforeAll(async () => {
    server = await start();
    agent = agentOf(server);
  });
  afterAll(async () => {
    agent.close();
    await server.close();
  });
  const embed = (input: readonly string[], more: Partial<EmbedRequest> = {}) =>
    agent.embed({ input, model, ...more }, call());

  it('come in the order of the texts, equal for equal ones, with the tokens', async () => {
    const { embeddings, usage, model: named } = await embed(['hello', 'w3', 'hello', '你好 🐝']);
    const [first, second, third] = embeddings;
    expect(embeddings).toHaveLength(4);
    expect(first).toHaveLength(512);
    expect(third).toEqual(first);
    expect(second).not.toEqual(first);
    expect(Math.hypot(...(first ?? []))).toBeCloseTo(1);
    expect(usage).toEqual({ inputTokens: expect.any(Number), outputTokens: 0 });
    expect(usage?.inputTokens).toBeGreaterThan(4);
    expect(named).toBe(model);
  });

  it('of hundreds of texts come at once', async () => {
    const { embeddings } = await embed(Array.from({ length: 300 }, (_, number) => `w${number % 200}`));
    expect(embeddings).toHaveLength(300);
    expect(embeddings[203]).toEqual(embeddings[3]);
  });

  it('of a text that is too long are refused', async () => {
    const text = 'word '.repeat(9000);
    expect(await rejection(embed([text], { truncate: false }))).toMatchObject({ code: 'CONTEXT_TOO_LONG' });
  });

  it('end with an abort, and the next ones come', async () => {
    const abort = new AbortController();
    const input = Array.from({ length: 500 }, () => 'word '.repeat(80));
    const made = rejection(agent.embed({ input, model }, call(abort.signal)));
    abort.abort(new Error('not wanted'));
    expect(await made).toBe(abort.signal.reason);
    expect((await embed(['a'])).embeddings).toHaveLength(1);
  });

  it('come without a model, too', async () => {
    await eventually(async () => {
      await agent.health(new AbortController().signal);
      expect((await embed(['a'], { model: undefined })).embeddings).toHaveLength(1);
    });
  });
});

describe('a model that makes no embeddings', () => {
  it.each([
    ['a real Ollama', { program: 'ollama' }, ollama],
    ['a real llama-server', { program: 'llama-server', args: ['say', '--alias', 'say'] }, openAi],
  ] as const)('of %s lacks them, and answers are as healthy as before', async (_, options, agentOf) => {
    const server = await RealServer.start(options);
    const agent = agentOf(server);
    try {
      const embed = (model?: string) => rejection(agent.embed({ input: ['a'], model }, call()));
      expect(await embed('say')).toMatchObject(lacking);
      expect(await embed()).toMatchObject(lacking);
      expect(await agent.health(new AbortController().signal)).toMatchObject({ healthy: true });
    } finally {
      agent.close();
      await server.close();
    }
  });
});

describe('details of models', () => {
  const details = async (agent: OllamaAgent | OpenAiAgent): Promise<AgentHealth> =>
    agent.health(new AbortController().signal);

  it('of a real Ollama', async () => {
    const server = await RealServer.start({ program: 'ollama' });
    await installEmbeddingModel(server.url, 'embedder');
    const agent = ollama(server);
    const contextLength = 4096;
    try {
      await eventually(async () => {
        const { models, modelDetails } = await details(agent);
        expect([...(models ?? [])].sort()).toEqual([
          'forever:latest',
          'say:latest',
          'think:latest',
          'tool:latest',
        ]);
        expect(new Set(modelDetails)).toEqual(
          new Set([
            { name: 'embedder:latest', capabilities: ['embedding'], contextLength },
            { name: 'forever:latest', capabilities: ['completion'], contextLength },
            { name: 'say:latest', capabilities: ['completion'], contextLength },
            { name: 'think:latest', capabilities: ['completion', 'thinking'], contextLength },
            { name: 'tool:latest', capabilities: ['completion', 'tools'], contextLength },
          ]),
        );
      });
    } finally {
      agent.close();
      await server.close();
    }
  });

  it('of a real llama-server: the context that it runs with', async () => {
    const args = ['say', '--alias', 'say', '-c', '2048'];
    const server = await RealServer.start({ program: 'llama-server', args });
    const agent = openAi(server);
    try {
      expect(await details(agent)).toEqual({
        healthy: true,
        models: ['say'],
        model: 'say',
        modelDetails: [{ name: 'say', capabilities: ['completion'], contextLength: 2048 }],
      });
    } finally {
      agent.close();
      await server.close();
    }
  });
});
