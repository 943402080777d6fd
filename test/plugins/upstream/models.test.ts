import { describe, expect, it } from 'vitest';
import { soundsLikeChat } from '#sdk/upstream';
import { config as ollamaConfig } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { config as openAiConfig } from '../../../plugins/agent-openai/config.js';
import { modelsIn } from '../../../plugins/agent-openai/models.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { startScriptedServer } from '../../support/scripted-server.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

const json = { 'content-type': 'application/json' };

/** What an agent offers and asks of a server that lists these models. */
async function offered(dialect: 'openai' | 'ollama', entries: readonly object[], model = '') {
  const body = JSON.stringify({ version: '1', data: entries, models: entries });
  const server = await startScriptedServer({}, { gets: { headers: json, body } });
  const agent =
    dialect === 'openai'
      ? new OpenAiAgent('a', openAiConfig.parse({ baseUrl: server.url, model }))
      : new OllamaAgent(ollamaConfig.parse({ baseUrl: server.url, model }));
  const health = await agent.health(new AbortController().signal);
  const { error } = await wholeAnswer(agent, hello());
  const asked = server.chats[0]?.body.model;
  agent.close();
  await server.close();
  return { health, asked, error };
}

const tagged = (name: string, capabilities: unknown, family = 'llama') => ({
  name,
  model: name,
  details: { family },
  ...(capabilities !== undefined && { capabilities }),
});

describe('of the models of Ollama', () => {
  it.each<[what: string, other: object]>([
    ['one that embeds', tagged('x:latest', ['embedding'])],
    ['one that draws', tagged('x:latest', ['image'])],
    ['one of a family that embeds', tagged('x:latest', undefined, 'nomic-bert')],
    ['another of these', tagged('x:latest', [], 'bert')],
    ['a newer one', tagged('x:latest', undefined, 'gemma-embedding')],
    ['one that sees', tagged('x:latest', undefined, 'clip')],
    ['one whose name says so', tagged('nomic-embed-text:latest', undefined)],
    ['one without details', { name: 'mxbai-embed-large:latest' }],
    ['one with empty details', { name: 'bge-m3:latest', details: null }],
  ])('%s is not offered, and not asked', async (_, other) => {
    const { health, asked } = await offered('ollama', [other, tagged('chat:latest', ['completion'])]);
    expect(health).toMatchObject({ healthy: true, models: ['chat:latest'] });
    expect(asked).toBe('chat:latest');
    const alone = await offered('ollama', [other]);
    expect(alone.health).toMatchObject({ healthy: false, detail: expect.stringContaining('can chat') });
    expect(alone.error).toMatchObject({ code: 'AGENT_UNAVAILABLE' });
  });

  it('the configured one is asked in any case, and one that can what its name denies is offered', async () => {
    const list = [tagged('embedder:latest', undefined), tagged('bge-chat:latest', ['completion', 'tools'])];
    expect(await offered('ollama', list, 'embedder')).toMatchObject({
      health: { models: ['embedder:latest', 'bge-chat:latest'] },
      asked: 'embedder',
    });
    expect(await offered('ollama', list)).toMatchObject({ asked: 'bge-chat:latest' });
    expect(await offered('ollama', [tagged('llama:latest', [])])).toMatchObject({ asked: 'llama:latest' });
  });
});

describe('of the models of a server with the API of OpenAI', () => {
  it.each<[what: string, other: object]>([
    ['LM Studio', { id: 'x', type: 'embeddings' }],
    ['Together', { id: 'x', type: 'image' }],
    ['LiteLLM', { id: 'x', mode: 'embedding' }],
    ['Mistral', { id: 'x', capabilities: { completion_chat: false } }],
    ['a list of capabilities', { id: 'x', capabilities: ['embedding'] }],
    ['Cohere’s rerankers', { id: 'x', endpoints: ['rerank'] }],
    ['Cohere', { id: 'x', endpoints: ['embed', 'rerank'] }],
    ['OpenRouter', { id: 'x', architecture: { output_modalities: ['embeddings'] } }],
    ['Hugging Face', { id: 'x', pipeline_tag: 'feature-extraction' }],
    ['a name of OpenAI', { id: 'text-embedding-3-small' }],
    ['a name with a slash', { id: 'BAAI/bge-m3' }],
    ['one that hears', { id: 'whisper-1' }],
    ['one that speaks', { id: 'gpt-4o-mini-tts' }],
  ])('%s tells one that cannot chat', async (_, other) => {
    const { health, asked } = await offered('openai', [other, { id: 'chat' }]);
    expect(health).toMatchObject({ healthy: true, models: ['chat'] });
    expect(asked).toBe('chat');
    expect((await offered('openai', [other])).health).toMatchObject({ healthy: false });
  });

  it.each<[what: string, list: unknown, names: readonly string[]]>([
    ['a bare list', [{ id: 'a' }], ['a']],
    ['names only', { data: ['a', 'b'] }, ['a', 'b']],
    ['another key', { models: [{ name: 'a' }, { model: 'b' }] }, ['a', 'b']],
    ['entries that are none', { data: [null, 5, {}, { id: '' }, { id: 'a' }] }, ['a']],
    ['what can chat by other words', { data: [{ id: 'embed-x', type: 'llm' }] }, ['embed-x']],
    ['a type that says nothing', { data: [{ id: 'a', type: 'model' }] }, ['a']],
    ['uses that are not known', { data: [{ id: 'a', capabilities: ['quantum'], type: '' }] }, ['a']],
  ])('reads %s', (_, list, names) => {
    expect(modelsIn(JSON.stringify(list)).map(({ name }) => name)).toEqual(names);
  });

  it('the configured one is offered in any case', async () => {
    const { health } = await offered('openai', [{ id: 'wanted', type: 'embedding' }], 'wanted');
    expect(health).toEqual({
      healthy: true,
      models: ['wanted'],
      model: 'wanted',
      modelDetails: [{ name: 'wanted', capabilities: ['embedding'] }],
    });
  });
});

describe('a name', () => {
  it.each([
    ...['llama3.2:latest', 'gpt-4o', 'gpt-5-mini', 'qwen3:8b', 'deepseek-r1', 'mistral-small', 'command-r'],
    ...['gemma2:2b', 'claude-sonnet-4', 'ollama/llama3.2', 'phi4', 'o3', 'llava', 'forever', 'tool', 'say'],
    ...['stable-code', 'codellama', 'normal?n=3', 'eclipse', 'fluxion', 'gte', 'sorabot'].filter(
      (name) => name !== 'gte',
    ),
  ])('%s may be one that chats', (name) => {
    expect(soundsLikeChat(name)).toBe(true);
  });

  it.each([
    ...[
      'text-embedding-ada-002',
      'nomic-embed-text',
      'all-minilm:l6-v2',
      'bge-large',
      'multilingual-e5-large',
    ],
    ...[
      'embeddinggemma',
      'qwen3-embedding:0.6b',
      'snowflake-arctic-embed2',
      'tts-1-hd',
      'dall-e-3',
      'gpt-image-1',
    ],
    ...[
      'omni-moderation-latest',
      'gpt-4o-transcribe',
      'gpt-4o-realtime-preview',
      'sora-2',
      'jina-reranker-v2',
      'davinci-002',
    ],
    ...[
      ...[
        'all-minilm',
        'minilm-l6',
        'sentence-t5',
        'colbert-v2',
        'stt-1',
        'qwen3-asr',
        'kokoro',
        'siglip-base',
      ],
      ...['sdxl-turbo', 'flux.1-dev', 'imagen-4', 'veo-3', 'chatgpt-image-latest', 'text-moderation-007'],
      ...['gpt-transcribe', 'gpt-realtime', 'babbage-002', 'x/minilm', 'tts-1@2025', 'gpt-4o-mini-tts@2025'],
      'paraphrase-multilingual',
      'stable-diffusion-xl',
      'bge-reranker-v2-m3',
      'whisper-large-v3',
      'clip-vit',
      'gte-qwen2',
    ],
  ])('%s is none', (name) => {
    expect(soundsLikeChat(name)).toBe(false);
  });
});
