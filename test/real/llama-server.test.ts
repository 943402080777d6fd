import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';
import { answersFrom, text } from './contract.js';
import { RealServer } from './real-server.js';

// In the models' own one are no tools and no thinking.
const template = fileURLToPath(new URL('chat-template.jinja', import.meta.url));
const start = (model: string, ...more: readonly string[]) =>
  RealServer.start({ program: 'llama-server', args: [model, '--alias', model, ...more] });
const agent = ({ url }: RealServer, more: object = {}) => ({
  use: 'agent-openai',
  config: { baseUrl: `${url}/v1`, ...more },
});
const role = (model: string) => ({ agent: `llama-${model}`, model });

answersFrom(
  'a real llama-server',
  {
    async start() {
      const [say, forever, think, tool] = await Promise.all([
        start('say'),
        start('say', '--alias', 'forever', '--ignore-eos'),
        start('think', '--chat-template-file', template),
        start('tool', '--chat-template-file', template),
      ]);
      return { say, forever, think, tool };
    },
    plugins: (servers) =>
      Object.fromEntries(
        Object.entries(servers).map(([model, server]) => [`agent-llama-${model}`, agent(server)]),
      ),
    asked: { say: role('say'), forever: role('forever'), think: role('think'), tool: role('tool') },
  },
  (stage) => {
    it('a prompt that is longer than its window is refused in the words that clients know', async () => {
      const content = 'word '.repeat(9000);
      const body = { model: 'llama-say', messages: [{ role: 'user', content }] };
      const answer = await stage.post('/v1/chat/completions', body);
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ error: { code: 'context_length_exceeded' } });
      const { client } = stage;
      const frames = await client.ask({ content, agent: 'llama-say' });
      expect(frames.at(-1)).toMatchObject({ type: 'error', code: 'CONTEXT_TOO_LONG' });
    });
  },
);

describe('a real llama-server with a key', () => {
  it.each([
    ['the right one', 'secret-key', 'streaming_end'],
    ['a wrong one', 'other-key', 'error'],
    ['none', '', 'error'],
  ])('%s', async (_, apiKey, end) => {
    const model = await start('say', '--api-key', 'secret-key');
    const config = {
      plugins: {
        'agent-llama': agent(model, { apiKey }),
        'agent-queen': { config: { candidates: ['llama'] } },
      },
    };
    const server = await startServer({ config });
    const client = await WsClient.connect(`${server.ws}/test`);
    try {
      const frames = await client.ask({ content: 'Hallo', agent: 'llama' });
      expect(frames.at(-1)).toMatchObject({ type: end });
      if (end === 'streaming_end') expect(textOf(frames)).toBe(text);
      else expect(frames.at(-1)?.message).toContain('set apiKey');
      expect(JSON.stringify(frames)).not.toContain('-key');
    } finally {
      await client.close();
      await server.stop();
      await model.close();
    }
  });
});

describe('a real llama-server with one slot', () => {
  it('answers twelve that ask at once', async () => {
    const model = await start('say', '-np', '1');
    const config = {
      plugins: { 'agent-llama': agent(model), 'agent-queen': { config: { candidates: ['llama'] } } },
    };
    const server = await startServer({ config });
    const clients = await Promise.all(
      Array.from({ length: 12 }, (_, number) => WsClient.connect(`${server.ws}/c${number}`)),
    );
    try {
      const all = await Promise.all(clients.map((client) => client.ask({ content: 'Hallo' })));
      for (const frames of all) expect(textOf(frames)).toBe(text);
    } finally {
      for (const client of clients) await client.close();
      await server.stop();
      await model.close();
    }
  });
});
