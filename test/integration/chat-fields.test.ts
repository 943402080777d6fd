import { describe, expect, it } from 'vitest';
import type { ChatRequest } from '#kernel';
import { ScriptedModel, say, use } from '../support/scripted-model.js';
import { ToolHive } from '../support/tool-hive.js';

const server = new ToolHive();

const post = (path: string, body: object) =>
  fetch(`${server.hive.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

const photo = 'data:image/png;base64,iVBORw0KGgo=';
const schema = { type: 'object', properties: { city: { type: 'string' } } };
const tool = { name: 'place', description: 'Where', parameters: schema };
const options = {
  temperature: 0.5,
  seed: 7,
  presencePenalty: 0.1,
  frequencyPenalty: 0.2,
  reasoningEffort: 'low',
  format: schema,
  toolChoice: { name: 'place' },
  parallelToolCalls: false,
  truncate: false,
  providerOptions: { ollama: { keep_alive: '1m' } },
};

/** The request of an agent, in the parts that a client decides. */
const asked = ({ messages, options: all }: ChatRequest) => ({ message: messages.at(-1), options: all });

describe('a request over our own endpoints', () => {
  it.each(['stream_request', 'message', '/chat', '/chat/stream'])(
    'by %s takes what /v1 takes',
    async (way) => {
      const model = new ScriptedModel('m', [[say('A view.')]]);
      await server.start([model]);
      const fields = { content: 'What is this?', images: [photo], tools: [tool], options };
      if (way.startsWith('/')) {
        const answer = await post(way, { ...fields, user_id: 'ann' });
        expect(answer.status).toBe(200);
        expect(await answer.text()).toContain('A view.');
      } else {
        const client = await server.client();
        client.send({ type: way, requestId: 'r', ...fields });
        await client.until(({ type }) => type === 'streaming_end' || type === 'message');
      }
      expect(asked(model.requests[0] as ChatRequest)).toEqual({
        message: { role: 'user', content: 'What is this?', images: [photo] },
        options: { ...options, tools: [tool] },
      });
    },
  );

  it.each(['/chat', 'message'])(
    'by %s ends with calls of its tools, and goes on with their results',
    async (way) => {
      const model = new ScriptedModel('m', [
        [say('Let me see. '), use('place', '{"city": "Oslo", "at": 1.0}', 'c1')],
        [say('In Oslo.')],
      ]);
      await server.start([model], [], { tools: [] });
      const client = await server.client();
      const ask = async (fields: object) => {
        if (way === 'message') {
          const { results, ...rest } = fields as { results?: object };
          client.send({
            type: way,
            requestId: `r${model.requests.length}`,
            conversationId: 'k',
            toolResults: results,
            ...rest,
          });
          return client.end(`r${model.requests.length}`);
        }
        const { results, ...rest } = fields as { results?: object };
        const body = { user_id: 'ann', conversation_id: 'k', tool_results: results, ...rest };
        const { response: content, tool_calls: toolCalls } = await (await post(way, body)).json();
        return { content, toolCalls };
      };
      const first = await ask({ content: 'Where?', tools: [tool] });
      // The text of the model, digit for digit.
      const toolCalls = [{ id: 'c1', name: 'place', arguments: '{"city": "Oslo", "at": 1.0}' }];
      expect(first).toMatchObject({ content: 'Let me see. ', toolCalls });
      const second = await ask({ results: [{ id: 'c1', output: { found: true } }], tools: [tool] });
      expect(second).toMatchObject({ content: 'In Oslo.' });
      expect(second.toolCalls).toBeUndefined();
      expect(model.requests[1]?.messages).toMatchObject([
        { role: 'user', content: 'Where?' },
        { role: 'assistant', content: 'Let me see. ', toolCalls },
        { role: 'tool', content: '{"found":true}', toolCallId: 'c1' },
      ]);
    },
  );

  it('needs a text, or results of tools', async () => {
    await server.start([new ScriptedModel('m', [[say('.')]])]);
    const client = await server.client();
    client.send({ type: 'stream_request', images: [photo], requestId: 'r' });
    expect(await client.end('r')).toMatchObject({
      code: 'INVALID_FRAME',
      message: /content: expected string/,
    });
    const answer = await post('/chat', { user_id: 'ann', images: ['ftp://x'], content: 'x' });
    expect(answer.status).toBe(400);
    expect((await answer.json()).error.message).toMatch(/images\.0: .*base64 data URL/);
  });
});
