import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { done, ScriptedAgent, text } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';

const origin = 'https://chat.example.com';

describe.each(['uws', 'node'] as const)('on the wire of transport-%s', (transport) => {
  let hive: Hive;
  const scripted = new ScriptedAgent('scripted');
  beforeAll(async () => {
    hive = await startHive({
      transport,
      config: {
        transport: { allowedOrigins: [origin] },
        'endpoint-messages': { holdHeadersMs: 30, heartbeatMs: 10 },
      },
      plugins: [
        definePlugin({ name: 'scripted', apiVersion: 1, setup: (ctx) => void ctx.addAgent(scripted) }),
      ],
    });
  });
  afterAll(() => hive.close());

  const ask = (more: object = {}, headers: Record<string, string> = {}) =>
    fetch(`${hive.url}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01', ...headers },
      body: JSON.stringify({
        model: 'scripted',
        max_tokens: 9,
        messages: [{ role: 'user', content: 'Hallo' }],
        ...more,
      }),
    });
  const namesIn = (body: string) => [...body.matchAll(/^event: (.*)$/gm)].map(([, name]) => name);

  it('has named events, and headers that proxies and clients understand', async () => {
    scripted.script = [text('Hi'), done];
    const { status, headers, body } = await ask({ stream: true }, { origin }).then(async (response) => ({
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
    }));
    expect({ status, headers }).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        'access-control-allow-origin': origin,
        'access-control-expose-headers': expect.stringMatching(/^request-id, .*x-waggle-warning/),
        'x-waggle-agent': 'scripted',
        'x-stream-id': expect.any(String),
      },
    });
    expect(headers['request-id']).toBe(headers['x-request-id']);
    expect(body).toMatch(/^(event: \w+\ndata: \{.*\}\n\n)+$/);
    expect(namesIn(body)).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
  });

  it('begins and pings while nothing comes', async () => {
    scripted.script = ['wait', text('at last'), done];
    let body = '';
    for await (const part of (await ask({ stream: true })).body as ReadableStream<Uint8Array>) {
      body += Buffer.from(part).toString();
      if (namesIn(body).filter((name) => name === 'ping').length >= 3) scripted.release();
    }
    const names = namesIn(body).join(' ');
    expect(names).toMatch(/^(ping )*message_start (ping )*content_block_start /);
    expect(names).toMatch(/(ping ){3}.*message_stop$/);
    expect(names.split('message_start')).toHaveLength(2);
    expect(body).toContain('event: ping\ndata: {"type":"ping"}\n\n');
  });

  it('may be asked from a page of another origin', async () => {
    const asked =
      'content-type,x-api-key,anthropic-version,anthropic-beta,anthropic-dangerous-direct-browser-access';
    const { status, headers } = await fetch(`${hive.url}/v1/messages`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
    });
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe(origin);
    expect(headers.get('access-control-allow-headers')).toBe(asked);
  });

  it('gives the same answer to a request that comes again with its key', async () => {
    scripted.script = [text('Hi'), done];
    const before = scripted.requests.length;
    const again = () =>
      ask({ metadata: { user_id: 'ann' } }, { 'idempotency-key': transport }).then((response) =>
        response.json(),
      );
    const [first, second] = [await again(), await again()];
    expect(second).toEqual(first);
    expect(scripted.requests.length).toBe(before + 1);
  });

  it('remembers a conversation that has a name', async () => {
    scripted.script = [text('Hi'), done];
    const named = { 'x-conversation-id': 'c' };
    await ask({ metadata: { user_id: 'ann' } }, named);
    await ask({ metadata: { user_id: 'ann' } }, named);
    expect(scripted.requests.at(-1)?.messages.map(({ content }) => content)).toEqual([
      'Hallo',
      'Hi',
      'Hallo',
    ]);
  });

  it.each([
    ['POST', '/v1/messages/batches', 404, 'not_found_error'],
    ['GET', '/v1/messages', 405, 'invalid_request_error'],
  ])('words the error of %s %s', async (method, path, status, type) => {
    const response = await fetch(hive.url + path, { method });
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      type: 'error',
      error: { type, message: expect.any(String) },
      request_id: response.headers.get('request-id'),
    });
  });
});
