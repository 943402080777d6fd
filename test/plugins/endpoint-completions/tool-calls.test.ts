import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import agentOpenai from '../../../plugins/agent-openai/index.js';
import { done, ScriptedAgent } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';
import { events, type ScriptedServer, startScriptedServer } from '../../support/scripted-server.js';
import { WsClient } from '../../support/ws-client.js';

const messages = [{ role: 'user' as const, content: 'Hallo' }];
const digits = '{"2":12345678901234567890,"1":1.0}';
const broken = '{"city": "Par';
const headers = { 'content-type': 'text/event-stream' };
const extra_content = { google: { thought_signature: 'c2ln' } };

let server: ScriptedServer;
let hive: Hive;
let client: OpenAI;
const scripted = new ScriptedAgent('scripted');

beforeAll(async () => {
  server = await startScriptedServer();
  hive = await startHive({
    plugins: [definePlugin({ name: 'scripted', apiVersion: 1, setup: (ctx) => void ctx.addAgent(scripted) })],
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

const delta = (args: string, more: object = {}) => ({
  choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: args }, ...more }] } }],
});
const opened = (args: string, more: object = {}) =>
  delta('', { id: 'x', type: 'function', function: { name: 'look', arguments: args }, ...more });
const end = { choices: [{ delta: {}, finish_reason: 'tool_calls' }] };

const textOf = (path: string, body: object) =>
  fetch(`${hive.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }).then((response) => response.text());

describe('a tool call', () => {
  it.each<[what: string, written: string, shown: string]>([
    ['digits and the order of keys', digits, `"arguments":${digits}`],
    ['text that is broken', broken, `"argumentsText":${JSON.stringify(broken)}`],
    ['what is on several lines', '{\n"a": 1.0\r\n}', '"arguments":{ "a": 1.0  }'],
    ['what is too deep', `${'['.repeat(200)}${']'.repeat(200)}`, '"argumentsText":"[['],
    ['a number', '1.0', '"arguments":1.0'],
    ['JSON behind JSON', '{}{}', '"argumentsText":"{}{}"'],
    ['nothing', '', '"arguments":{}'],
  ])('shows %s as it is in every dialect', async (_, written, shown) => {
    server.play({ headers, body: events(opened(written), end, '[DONE]') });
    const whole = await client.chat.completions.create({ model: 'back', messages });
    const [call] = whole.choices[0]?.message.tool_calls ?? [];
    const text = written || '{}';
    expect(call).toMatchObject({ function: { name: 'look', arguments: text } });

    const stream = client.chat.completions.stream({ model: 'back', messages });
    const final = (await stream.finalChatCompletion()).choices[0];
    expect(final).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ id: 'x', function: { name: 'look', arguments: text } }] },
    });

    const sse = await textOf('/chat/stream', { content: 'Hallo', user_id: 'u', agent: 'back' });
    expect(sse.split('\n').find((line) => /^data:.*streaming_tool_call/.test(line))).toContain(shown);
    const ws = await WsClient.connect(`${hive.ws}/a`);
    const frames: string[] = [];
    ws.socket.on('message', (data) => frames.push(String(data)));
    ws.send({ type: 'stream_request', content: 'Hallo', agent: 'back' });
    await ws.until(({ type }) => type === 'streaming_end');
    expect(frames.filter((frame) => frame.includes('tool_call_piece'))).toEqual([]);
    expect(frames.find((frame) => frame.includes('streaming_tool_call'))).toContain(shown);
    ws.close();
    await ws.closed;
  });

  it('is streamed as it comes', async () => {
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const body = [events(opened('{"a"')), held, events(delta(':1.0}'), end, '[DONE]')];
    server.play({ headers, body });
    const stream = await client.chat.completions.create({ model: 'back', messages, stream: true });
    const pieces: unknown[] = [];
    for await (const { choices } of stream)
      for (const call of choices[0]?.delta.tool_calls ?? []) {
        pieces.push(call);
        goOn();
      }
    expect(pieces).toEqual([
      { index: 0, id: 'x', type: 'function', function: { name: 'look', arguments: '{"a"' } },
      { index: 0, function: { arguments: ':1.0}' } },
    ]);
  });

  it.each([true, false])('takes what a server gave with it out and in (stream: %s)', async (stream) => {
    const body = events(opened('{}', { extra_content }), end, '[DONE]');
    server.play({ headers, body });
    const text = await textOf('/v1/chat/completions', { model: 'back', messages, stream });
    const [, json = '{}'] = stream ? (/^data: (.*tool_calls".*)$/m.exec(text) ?? []) : [text, text];
    const [{ message, delta: part }] = JSON.parse(json).choices;
    const [call] = (message ?? part).tool_calls;
    expect(call).toMatchObject({ id: 'x', extra_content });
    await textOf('/v1/chat/completions', {
      model: 'back',
      messages: [
        ...messages,
        { role: 'assistant', tool_calls: [call] },
        { role: 'tool', tool_call_id: 'x', content: '' },
      ],
    });
    expect(server.chats.at(-1)?.body.messages[1].tool_calls).toEqual([
      { id: 'x', type: 'function', function: { name: 'look', arguments: '{}' }, extra_content },
    ]);
  });

  it.each([broken, digits, 'Rome', '[1]'])('comes back as it was: %s', async (args) => {
    const tool_calls = [{ id: 'x', type: 'function', function: { name: 'look', arguments: args } }];
    const asked = [...messages, { role: 'assistant', content: null, tool_calls }];
    await textOf('/v1/chat/completions', { model: 'back', messages: asked });
    expect(server.chats.at(-1)?.body.messages[1].tool_calls).toEqual(tool_calls);
  });

  it.each<[what: string, call: object, shown: string]>([
    ['an object', { id: 'x', arguments: { city: 'Rome' } }, '{"city":"Rome"}'],
    ['nothing', { id: 'x' }, '{}'],
    ['text, and no id', { arguments: digits }, digits],
  ])('of an agent from elsewhere may have %s', async (_, call, shown) => {
    scripted.script = [{ type: 'tool_call', name: 'look', ...call } as never, done];
    const whole = await client.chat.completions.create({ model: 'scripted', messages });
    expect(whole.choices[0]?.message.tool_calls).toMatchObject([
      { id: expect.stringMatching(/./), function: { name: 'look', arguments: shown } },
    ]);
  });

  it.each<[what: string, call: object]>([
    ['no name', { type: 'tool_call', id: 'x', arguments: '{}' }],
    ['extras that are text', { type: 'tool_call', id: 'x', name: 'a', arguments: '{}', extra: 'x' }],
    ['a piece without text', { type: 'tool_call_piece', id: 'x', name: 'a', from: 0 }],
  ])('of an agent from elsewhere with %s is told', async (_, call) => {
    scripted.script = [call as never, done];
    const request = client.chat.completions.create({ model: 'scripted', messages });
    await expect(request).rejects.toMatchObject({ status: 502 });
  });
});
