import { describe, expect, it } from 'vitest';
import { endpointUrl } from '#sdk/upstream';
import { baseUrlOf } from '../../../plugins/agent-openai/base-url.js';
import { config } from '../../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { recordingLogger } from '../../support/kernel.js';
import { events, type Scripts, startScriptedServer } from '../../support/scripted-server.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

const answer = { body: events({ choices: [{ delta: { content: 'Hi' }, finish_reason: 'stop' }] }, '[DONE]') };
const refusing = (message: string) => ({ status: 400, body: JSON.stringify({ error: { message } }) });

/** What is sent with this config. */
async function sent(options: object, { path = '/v1', scripts = answer as Scripts, asked = {} } = {}) {
  const server = await startScriptedServer(scripts);
  const agent = new OpenAiAgent('a', config.parse({ baseUrl: `${server.url}${path}`, ...options }));
  const answers = [];
  for (let count = 0; count < 2; count++)
    answers.push(await wholeAnswer(agent, { ...hello('m'), options: asked }));
  agent.close();
  await server.close();
  return { answers, chats: server.chats, requests: server.requests };
}

describe('a base URL', () => {
  it.each([
    ['https://api.example/v1', 'https://api.example/v1/chat/completions'],
    ['https://api.example/v1/', 'https://api.example/v1/chat/completions'],
    ['https://api.example/v1//', 'https://api.example/v1/chat/completions'],
    [' https://api.example/v1 ', 'https://api.example/v1/chat/completions'],
    ['"https://api.example/v1"', 'https://api.example/v1/chat/completions'],
    ["'https://api.example/v1/'\n", 'https://api.example/v1/chat/completions'],
    ['https://api.example', 'https://api.example/chat/completions'],
    ['https://api.example/v1/chat/completions', 'https://api.example/v1/chat/completions'],
    ['https://api.example/v1/chat/completions/', 'https://api.example/v1/chat/completions'],
    ['https://api.example/v1/completions', 'https://api.example/v1/chat/completions'],
    ['https://api.example/v1/models', 'https://api.example/v1/chat/completions'],
    [
      'https://x.openai.azure.com/openai/deployments/d?api-version=1',
      'https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1',
    ],
    [
      'https://x.example/d/chat/completions?api-version=1&x=%20',
      'https://x.example/d/chat/completions?api-version=1&x=%20',
    ],
    ['http://0.0.0.0:8000/v1', 'http://127.0.0.1:8000/v1/chat/completions'],
    ['http://[::]:8000/v1', 'http://[::1]:8000/v1/chat/completions'],
    ['http://[::1]:8000/v1#part', 'http://[::1]:8000/v1/chat/completions'],
  ])('%j is asked at %s', (setting, url) => {
    expect(config.safeParse({ baseUrl: setting }).error).toBeUndefined();
    expect(endpointUrl(baseUrlOf(setting), 'chat/completions').href).toBe(url);
  });

  it.each([
    'http://',
    'localhost:8000',
    'ftp://x/v1',
    'https://me:secret@x/v1',
    'http://x:0/v1',
    'http://a b/v1',
    "http://it's/v1",
    '',
    '  ',
  ])('%j is refused', (baseUrl) => {
    expect(config.safeParse({ baseUrl }).error).toBeDefined();
  });
});

describe('the config of agent-openai', () => {
  it.each<[what: string, options: object, asked: object, body: object]>([
    ['nothing', {}, {}, { stream: true, stream_options: { include_usage: true } }],
    ['no usage', { streamOptions: false }, {}, { stream: true, stream_options: undefined }],
    ['no stream', { stream: false }, {}, { stream: false, stream_options: undefined }],
    ['a limit', {}, { maxTokens: 5 }, { max_tokens: 5, max_completion_tokens: undefined }],
    [
      'the other limit',
      { maxTokensField: 'max_completion_tokens' },
      { maxTokens: 5 },
      { max_tokens: undefined, max_completion_tokens: 5 },
    ],
    [
      'fields',
      { body: { top_k: 3, provider: { order: ['x'] } } },
      {},
      { top_k: 3, provider: { order: ['x'] } },
    ],
    [
      'fields that a client sets',
      { body: { temperature: 1, seed: 1 } },
      { temperature: 0 },
      { temperature: 0, seed: 1 },
    ],
    ['a limit of its own', { body: { max_tokens: 7 } }, {}, { max_tokens: 7 }],
    [
      'a limit that a client sets',
      { body: { max_completion_tokens: 7 } },
      { maxTokens: 5 },
      { max_tokens: 5, max_completion_tokens: undefined },
    ],
  ])('sends %s', async (_, options, asked, body) => {
    const { chats, answers } = await sent(options, { asked });
    for (const [name, value] of Object.entries(body)) expect(chats[0]?.body[name]).toEqual(value);
    expect(answers[0]).toMatchObject({ text: 'Hi' });
  });

  it('reads an answer in one piece', async () => {
    const whole = JSON.stringify({ choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }] });
    const { answers, chats } = await sent(
      { stream: false },
      { scripts: { headers: { 'content-type': 'application/json' }, body: whole } },
    );
    expect(answers[0]).toMatchObject({ text: 'Hi', error: undefined });
    expect(chats[0]?.headers.accept).toBe('application/json');
  });

  it('sends headers, and a query, with every request', async () => {
    const options = {
      headers: { 'Api-Key': 'k', Authorization: 'Basic abc', 'x-empty': '' },
      apiKey: 'sk-x',
    };
    const { requests } = await sent(options, { path: '/v1?api-version=1' });
    expect(requests[0]).toMatchObject({
      path: '/v1/chat/completions?api-version=1',
      headers: { 'api-key': 'k', authorization: 'Basic abc' },
    });
    expect(requests[0]?.headers).not.toHaveProperty('x-empty');
    const server = await startScriptedServer();
    const agent = new OpenAiAgent('a', config.parse({ baseUrl: `${server.url}/v1?k=v`, ...options }));
    await agent.health(new AbortController().signal);
    expect(server.requests[0]).toMatchObject({ path: '/v1/models?k=v', headers: { 'api-key': 'k' } });
    agent.close();
    await server.close();
  });

  const useOther =
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
  const taken = ['max_tokens', 'max_completion_tokens', 'stream_options'];

  it.each<[what: string, refusals: readonly string[], fields: readonly string[]]>([
    ['the newer limit', [useOther], ['max_completion_tokens', 'stream_options']],
    ['no usage', ["Unknown field 'stream_options'"], ['max_tokens']],
    [
      'no usage, as pydantic says it',
      ['[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]'],
      ['max_tokens'],
    ],
    ['both', [useOther, 'include_usage is not supported'], ['max_completion_tokens']],
  ])('learns from a refusal that a server wants %s', async (_, refusals, fields) => {
    const { answers, chats } = await sent(
      {},
      { asked: { maxTokens: 5 }, scripts: [...refusals.map(refusing), answer] },
    );
    expect(answers.map(({ text }) => text)).toEqual(['Hi', 'Hi']);
    expect(chats).toHaveLength(refusals.length + 2);
    for (const { body } of chats.slice(-2)) expect(taken.filter((name) => name in body)).toEqual(fields);
  });

  it.each([
    "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
    'Unrecognized request argument supplied: reasoning_effort',
    'unsupported_value reasoning.effort',
    '"gpt-oss" does not support reasoning effort',
  ])('learns that a model has no reasoning effort from %j', async (message) => {
    const { answers, chats } = await sent(
      {},
      { asked: { reasoningEffort: 'high' }, scripts: [refusing(message), answer] },
    );
    expect(answers.map(({ text }) => text)).toEqual(['Hi', 'Hi']);
    expect(chats.map(({ body }) => body.reasoning_effort)).toEqual(['high', undefined, undefined]);
  });

  it.each([
    'max_tokens is too large: 5000. This model supports at most 4096 completion tokens',
    'messages are empty',
  ])('asks once where it says %j', async (message) => {
    const { chats, answers } = await sent({}, { asked: { maxTokens: 5 }, scripts: refusing(message) });
    expect(chats).toHaveLength(2);
    expect(answers[0]?.error).toMatchObject({ details: { refused: 400 } });
  });

  it('asks no more than three times of a server that refuses everything', async () => {
    const { chats } = await sent(
      {},
      { asked: { maxTokens: 5 }, scripts: refusing(`${useOther} max_completion_tokens unsupported`) },
    );
    expect(chats.length).toBeLessThanOrEqual(6);
  });

  it.each<[what: string, options: object]>([
    ['a header that no name is', { headers: { 'a b': 'secret' } }],
    ['a header with two lines', { headers: { a: 'secret\nb' } }],
    ['a header of the connection', { headers: { 'Content-Length': 'secret' } }],
    ['a body that is no list of fields', { body: 'secret' }],
    ['the messages', { body: { messages: ['secret'] } }],
    ['a field that has a key of its own', { body: { stream: 'secret' } }],
    ['an unknown field for the limit', { maxTokensField: 'secret' }],
  ])('refuses %s without printing it', (_, options) => {
    const { error } = config.safeParse(options);
    expect(error).toBeDefined();
    expect(JSON.stringify(error?.issues)).not.toContain('secret');
  });

  it('shows no secret in an error or a log', async () => {
    const secrets = ['hush-header', 'hush-query', 'hush-key'];
    const { logger, lines } = recordingLogger();
    const server = await startScriptedServer(refusing(`no: ${secrets.join(' ')}`));
    const options = { headers: { 'api-key': 'hush-header' }, apiKey: 'hush-key' };
    const create = (url: string) =>
      new OpenAiAgent('a', config.parse({ baseUrl: `${url}/v1?sig=hush-query`, ...options }));
    const told: unknown[] = [];
    for (const url of [server.url, 'http://127.0.0.1:9']) {
      const agent = create(url);
      const call = { signal: new AbortController().signal, logger };
      try {
        for await (const _ of agent.generateResponseStream(hello('m'), call as never));
      } catch (error) {
        told.push((error as Error).message, (error as { details: unknown }).details);
      }
      told.push(await agent.health(call.signal));
      agent.close();
    }
    await server.close();
    expect(told).toHaveLength(6);
    for (const secret of secrets) expect(JSON.stringify([told, lines])).not.toContain(secret);
  });
});
