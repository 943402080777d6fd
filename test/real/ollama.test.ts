import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';
import { answersFrom, text } from './contract.js';
import { RealServer } from './real-server.js';

const ollama = (model: string) => ({ agent: 'ollama', model });

answersFrom(
  'a real Ollama',
  {
    async start() {
      const server = await RealServer.start({ program: 'ollama' });
      return { say: server, forever: server, think: server, tool: server };
    },
    plugins: ({ say }) => ({ 'agent-ollama': { config: { baseUrl: say.url } } }),
    asked: { say: ollama('say'), forever: ollama('forever'), think: ollama('think'), tool: ollama('tool') },
  },
  (stage) => {
    const ask = (body: object) =>
      stage.post('/v1/chat/completions', { messages: [{ role: 'user', content: 'Hallo' }], ...body });
    const picture =
      'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';

    // What it refuses is the mistake of whoever asked, and clients do not send it again.
    it.each([
      [
        'tools',
        {
          model: 'ollama/say',
          tools: [{ type: 'function', function: { name: 'x', parameters: { type: 'object' } } }],
        },
        /does not support tools/,
      ],
      [
        'a format that is no schema',
        {
          model: 'ollama/say',
          response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'nonsense' } } },
        },
        /./,
      ],
    ])('%s that it cannot do are refused with its text', async (_, body, message) => {
      const answer = await ask(body);
      expect(answer.status).toBe(400);
      const { error } = await answer.json();
      expect(error.message).toMatch(message);
      expect(error.type).toBe('invalid_request_error');
      expect(error.message).not.toMatch(/\/tmp|\/root|blobs/);
    });

    it('a picture for a model that cannot see is refused', async () => {
      const content = [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: picture } },
      ];
      const answer = await ask({ model: 'ollama/say', messages: [{ role: 'user', content }] });
      expect(answer.status).toBe(400);
      expect((await answer.json()).error.type).toBe('invalid_request_error');
    });

    it('effort is left out for a model that cannot think', async () => {
      const { choices } = await (await ask({ model: 'ollama/say', reasoning_effort: 'high' })).json();
      expect(choices[0].message.content).toBe(text);
    });

    it('a model that was added answers, and one that was removed is not there', async () => {
      const { say } = stage.servers;
      const models = async () => {
        const { agents } = await (await fetch(`${stage.waggle.url}/agents`)).json();
        return agents.find(({ name }: { readonly name: string }) => name === 'ollama').models;
      };
      const copied = { source: 'say', destination: 'more' };
      await fetch(`${say.url}/api/copy`, { method: 'POST', body: JSON.stringify(copied) });
      await eventually(async () => expect(await models()).toContain('more:latest'));
      expect((await ask({ model: 'ollama/more' })).status).toBe(200);
      await fetch(`${say.url}/api/delete`, { method: 'DELETE', body: JSON.stringify({ model: 'more' }) });
      const gone = await ask({ model: 'ollama/more' });
      expect(gone.status).toBe(404);
      expect(await gone.json()).toMatchObject({ error: { code: 'model_not_found' } });
      expect(await models()).not.toContain('more:latest');
    });
  },
);

describe('a real Ollama with room for two', () => {
  it('answers twelve that ask at once', async () => {
    const env = { OLLAMA_NUM_PARALLEL: '1', OLLAMA_MAX_QUEUE: '2', OLLAMA_MAX_LOADED_MODELS: '1' };
    const ollama = await RealServer.start({ program: 'ollama', env });
    const config = { plugins: { 'agent-ollama': { config: { baseUrl: ollama.url, model: 'say' } } } };
    const server = await startServer({ config });
    const clients = await Promise.all(
      Array.from({ length: 12 }, (_, number) => WsClient.connect(`${server.ws}/c${number}`)),
    );
    try {
      const all = await Promise.all(clients.map((client) => client.ask({ content: 'Hallo' })));
      for (const frames of all) {
        expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', agent: 'ollama' });
        expect(textOf(frames)).toBe(text);
      }
    } finally {
      for (const client of clients) await client.close();
      await server.stop();
      await ollama.close();
    }
  });
});
