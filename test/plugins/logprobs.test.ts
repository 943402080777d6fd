import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import agentOpenai from '../../plugins/agent-openai/index.js';
import { ScriptedAgent } from '../support/agents.js';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { type Hive, startHive } from '../support/hive.js';
import { events, type ScriptedServer, startScriptedServer } from '../support/scripted-server.js';

const score = (token: string, logprob: number) => ({ token, logprob, bytes: [...Buffer.from(token)] });
const scored = (token: string) => ({
  ...score(token, -0.5),
  top_logprobs: [score(token, -0.5), score('x', -2)],
});
const chunk = (content: string) => ({
  choices: [{ delta: { content }, logprobs: { content: [scored(content)], refusal: null } }],
});
const end = { choices: [{ delta: {}, finish_reason: 'stop' }] };
const headers = { 'content-type': 'text/event-stream' };

let server: ScriptedServer;
let hive: Hive;
let client: OpenAI;
beforeAll(async () => {
  server = await startScriptedServer();
  const mute = new ScriptedAgent('mute');
  hive = await startHive({
    plugins: [definePlugin({ name: 'mute', apiVersion: 1, setup: (ctx) => void ctx.addAgent(mute) })],
  });
  await hive.kernel.load(agentOpenai, {
    id: 'agent-back',
    config: { baseUrl: `${server.url}/v1`, model: 'm' },
  });
  client = new OpenAI({ baseURL: `${hive.url}/v1`, apiKey: 'any', maxRetries: 0 });
});
afterAll(async () => {
  await hive.close();
  await server.close();
});

describe('log probabilities', () => {
  const messages = [{ role: 'user' as const, content: 'Hallo' }];
  const asked = { model: 'back', messages, logprobs: true, top_logprobs: 2 };
  const content = ['Hel', 'lo'].map(scored);
  const play = () => server.play({ headers, body: events(chunk('Hel'), chunk('lo'), end, '[DONE]') });

  it('come with a chat completion, whole and streamed', async () => {
    play();
    const whole = await client.chat.completions.create(asked);
    expect(whole.choices[0]).toMatchObject({
      message: { content: 'Hello' },
      logprobs: { content, refusal: null },
    });
    expect(server.chats.at(-1)?.body).toMatchObject({ logprobs: true, top_logprobs: 2 });
    play();
    const stream = await client.chat.completions.stream(asked).finalChatCompletion();
    expect(stream.choices[0]).toMatchObject({ message: { content: 'Hello' }, logprobs: { content } });
  });

  it('come with a response that includes them', async () => {
    play();
    const include = ['message.output_text.logprobs' as const];
    const deltas: object[] = [];
    const stream = client.responses.stream({ model: 'back', input: 'Hallo', include, top_logprobs: 2 });
    for await (const event of stream)
      if (event.type === 'response.output_text.delta') deltas.push(...event.logprobs);
    expect(deltas).toEqual(content);
    const { output } = await stream.finalResponse();
    expect(output[0]).toMatchObject({ content: [{ text: 'Hello', logprobs: content }] });
  });

  it('are not sent unless asked for', async () => {
    server.play({ headers, body: events({ choices: [{ delta: { content: 'Hi' } }] }, end, '[DONE]') });
    const { choices } = await client.chat.completions.create({ model: 'back', messages, logprobs: false });
    expect(choices[0]?.logprobs).toBeNull();
    expect(server.chats.at(-1)?.body).not.toHaveProperty('logprobs');
  });

  it('are refused by name where the model server gives none', async () => {
    const refused = { status: 400, param: 'logprobs' };
    await expect(client.chat.completions.create({ ...asked, model: 'mute' })).rejects.toMatchObject(refused);
    const include = ['message.output_text.logprobs' as const];
    await expect(client.responses.create({ model: 'mute', input: 'a', include })).rejects.toMatchObject({
      status: 400,
      param: 'include',
    });
  });

  it.each([
    ['no list', {}],
    ['an empty list', []],
    ['no numbers', [{ token: 'a', logprob: 'b' }]],
    ['nothing', [null]],
  ])('are left out where they cannot be read: %s', async (_, broken) => {
    const first = { choices: [{ delta: { content: 'Hi' }, logprobs: { content: broken } }] };
    server.play({ headers, body: events(first, end, '[DONE]') });
    const { choices } = await client.chat.completions.create(asked);
    expect(choices[0]).toMatchObject({ message: { content: 'Hi' }, logprobs: null });
  });
});

describe('log probabilities of Ollama', () => {
  let fake: FakeOllama;
  beforeAll(async () => {
    fake = await startFakeOllama();
  });
  afterAll(() => fake.close());

  it('are asked for by its own names', async () => {
    const own = await startHive({ fake });
    const api = new OpenAI({ baseURL: `${own.url}/v1`, apiKey: 'any', maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'Hallo' }];
    await api.chat.completions.create({ model: 'ollama/normal', messages, logprobs: true, top_logprobs: 3 });
    expect(fake.requests.findLast(({ path }) => path === '/api/chat')?.body).toMatchObject({
      logprobs: true,
      top_logprobs: 3,
    });
    await own.close();
  });
});
