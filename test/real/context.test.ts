import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningServer, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';
import { text } from './contract.js';
import { RealServer } from './real-server.js';

const question = (turn: number) => `${turn} ${'a b c '.repeat(80)}`;

interface Start {
  readonly context?: {
    readonly tokens: number;
    readonly window: number;
    readonly droppedMessages: number;
  };
}

describe('a conversation that outgrows a real model', () => {
  let ollama: RealServer;
  let llama: RealServer;
  let waggle: RunningServer;
  let client: WsClient;
  beforeAll(async () => {
    [ollama, llama] = await Promise.all([
      RealServer.start({ program: 'ollama' }),
      RealServer.start({ program: 'llama-server', args: ['say', '--alias', 'say', '-c', '2048'] }),
    ]);
    const plugins = {
      'agent-ollama': { config: { baseUrl: ollama.url, model: 'say' } },
      'agent-small': {
        use: 'agent-ollama',
        config: { name: 'small', baseUrl: ollama.url, model: 'forever', numCtx: 1024 },
      },
      'agent-llama': { use: 'agent-openai', config: { baseUrl: `${llama.url}/v1` } },
    };
    waggle = await startServer({ config: { plugins } });
    client = await WsClient.connect(`${waggle.ws}/ann`);
  });
  afterAll(async () => {
    await client?.close();
    await waggle?.stop();
    await Promise.all([ollama?.close(), llama?.close()]);
  });

  const loaded = async (model: string) => {
    const { models } = await (await fetch(`${ollama.url}/api/ps`)).json();
    return models.find(({ name }: { readonly name: string }) => name === `${model}:latest`)?.context_length;
  };
  const converse = async (agent: string, turns: number, options: object = {}) => {
    const told: { readonly start: Start['context']; readonly end: Record<string, unknown> }[] = [];
    for (let turn = 0; turn < turns; turn++) {
      const frames = await client.ask({ content: question(turn), agent, conversationId: agent, options });
      const end = frames.at(-1) as Record<string, unknown>;
      expect(end).toMatchObject({ type: 'streaming_end' });
      told.push({ start: (frames.find(({ type }) => type === 'streaming_start') as Start)?.context, end });
    }
    return told;
  };

  it.each(['ollama', 'llama'])(
    'goes on with the window of %s, in which nothing is cut without a word',
    async (agent) => {
      const told = await converse(agent, 14);
      const window = agent === 'ollama' ? 4096 : 2048;
      for (const [turn, { start, end }] of told.entries()) {
        expect(end.truncated).toBeUndefined();
        const { inputTokens } = end.usage as { readonly inputTokens: number };
        expect(inputTokens).toBeLessThan(window);
        // The estimate is near once the model is known.
        if (turn >= 3) expect(Math.abs((start?.tokens ?? 0) - inputTokens) / inputTokens).toBeLessThan(0.1);
      }
      expect(told.at(-1)?.start).toMatchObject({ window, droppedMessages: expect.any(Number) });
      expect(told.at(-1)?.start?.droppedMessages).toBeGreaterThan(0);
      expect(told[0]?.start?.droppedMessages).toBe(0);
    },
    // A processor reads all that was said, again for each turn.
    240_000,
  );

  it('has the num_ctx of the config, and of a request', async () => {
    const [first] = await converse('small', 1, { maxTokens: 5 });
    expect(first?.start?.window).toBe(1024);
    expect(await loaded('forever')).toBe(1024);
    const own = { maxTokens: 5, providerOptions: { ollama: { options: { num_ctx: 2048 } } } };
    const [second] = await converse('small', 1, own);
    expect(second?.start?.window).toBe(2048);
    expect(await loaded('forever')).toBe(2048);
  });

  it('is refused where the client asks for that, and cut with a mark where one question is too long', async () => {
    const long = 'a b c '.repeat(1000);
    const refused = await client.ask({ content: long, agent: 'ollama', options: { truncate: false } });
    expect(refused.at(-1)).toMatchObject({ type: 'error', code: 'CONTEXT_TOO_LONG' });
    const cut = await client.ask({ content: long, agent: 'ollama' });
    expect(cut.at(-1)).toMatchObject({ type: 'streaming_end', truncated: true });
    expect(textOf(cut)).toBe(text);
  });

  it('tells a client of /v1 how many messages were left out', async () => {
    const messages = Array.from({ length: 20 }, (_, turn) => [
      { role: 'user', content: question(turn) },
      { role: 'assistant', content: 'ok' },
    ]).flat();
    const ask = (more: object = {}) =>
      fetch(`${waggle.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'ollama',
          messages: [...messages, { role: 'user', content: 'x' }],
          ...more,
        }),
      });
    const answer = await ask();
    expect(answer.status).toBe(200);
    expect(Number(answer.headers.get('x-waggle-dropped-messages'))).toBeGreaterThan(0);
    const refused = await ask({ truncation: 'disabled' });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: { code: 'context_length_exceeded' } });
  });
});
