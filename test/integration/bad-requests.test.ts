import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningServer, startServer } from '../support/server.js';
import { call } from '../support/transport.js';
import { WsClient } from '../support/ws-client.js';

describe.each(['uws', 'node'] as const)('over transport-%s', (transport) => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({
      transport,
      config: { plugins: { 'endpoint-ws': { config: { maxStreamsPerConnection: 2 } } } },
    });
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

  describe('a bad frame', () => {
    let client: WsClient;
    beforeAll(async () => {
      client = await WsClient.connect(`${server.ws}/bad`);
    });
    afterAll(() => client.close());

    it.each([
      ['that is no JSON', '{', 'INVALID_JSON', /./],
      ['that is empty', '', 'INVALID_JSON', /./],
      ['nested 5000 levels deep', deep(5000), 'TOO_DEEP', /32 levels/],
      [
        'nested deep in a field',
        `{"type":"stream_request","content":"x","options":${deep(40)}}`,
        'TOO_DEEP',
        /./,
      ],
      ['that is no object', '[1]', 'INVALID_FRAME', /JSON object/],
      ['that is null', 'null', 'INVALID_FRAME', /JSON object/],
      ['without a type', '{"content":"x"}', 'INVALID_FRAME', /type/],
      ['of an unknown type', '{"type":"nonsense"}', 'UNKNOWN_TYPE', /"nonsense" \(known: .*stream_request/],
      ['of a type that every object has', '{"type":"constructor"}', 'UNKNOWN_TYPE', /./],
      ['without content', '{"type":"stream_request"}', 'INVALID_FRAME', /content: expected string/],
      [
        'with content of a wrong type',
        '{"type":"message","content":5}',
        'INVALID_FRAME',
        /content: expected string .*got number 5/,
      ],
      ['with empty content', '{"type":"stream_request","content":""}', 'INVALID_FRAME', /content/],
      [
        'with a wrong option',
        '{"type":"stream_request","content":"x","options":{"temperature":"hot"}}',
        'INVALID_FRAME',
        /options\.temperature: expected number/,
      ],
      [
        'with a number beyond all numbers',
        '{"type":"stream_request","content":"x","options":{"temperature":1e400}}',
        'INVALID_FRAME',
        /options\.temperature/,
      ],
      [
        'with a wrong priority',
        '{"type":"stream_request","content":"x","priority":"asap"}',
        'INVALID_FRAME',
        /priority: expected one of "low", "normal", "high"/,
      ],
      [
        'that names no agent we have',
        '{"type":"stream_request","content":"x","agent":"nobody"}',
        'AGENT_UNKNOWN',
        /known: .*eliza/,
      ],
    ])('%s is answered with its error, and the connection goes on', async (_, frame, code, message) => {
      const from = client.frames.length;
      client.send(frame);
      await client.until((each) => each.type === 'error' && client.frames.indexOf(each) >= from);
      const error = client.frames[from];
      expect(error).toMatchObject({ type: 'error', code });
      expect(error?.message).toMatch(message);
      expect(error).not.toHaveProperty('streamId');
      expect((await client.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
    });

    const long = 'x'.repeat(70_000);
    it.each<[string, string | object, string]>([
      ['too long, its id first', { requestId: 'q', type: 'message', content: long }, 'TOO_LARGE'],
      ['too long, its id last', { type: 'message', content: long, requestId: 'q' }, 'TOO_LARGE'],
      ['too long, its id between', { content: long, requestId: 'q', more: long }, 'TOO_LARGE'],
      [
        'too long, with the name of the field in its text',
        { content: `"requestId":"no",${long}`, requestId: 'q', more: '"requestId":"no"' },
        'TOO_LARGE',
      ],
      [
        'too long, with another id deeper',
        {
          input: { requestId: 'no', more: [{ requestId: 'no' }], long },
          requestId: 'q',
          last: { requestId: 1 },
        },
        'TOO_LARGE',
      ],
      ['too long, with blanks', `{ "requestId" :\n "q" , "content": "${long}" }`, 'TOO_LARGE'],
      ['too long, with escapes', `{"content":"${'\\"'.repeat(40_000)}","requestId":"\u0071"}`, 'TOO_LARGE'],
      ['too long and too deep', `{"input":${deep(40_000)},"requestId":"q"}`, 'TOO_LARGE'],
      ['too long in bytes', { content: '€'.repeat(30_000), requestId: 'q' }, 'TOO_LARGE'],
      ['too long, and no JSON', `{"requestId":"q",${';'.repeat(9)}${long}`, 'TOO_LARGE'],
      ['33 levels deep', `{"type":"task","task":"x","input":${deep(32)},"requestId":"q"}`, 'TOO_DEEP'],
      ['deep, its id first', `{"requestId":"q","input":${deep(3000)}`, 'TOO_DEEP'],
      ['cut off', '{"type":"message","requestId":"q","content":"Hal', 'INVALID_JSON'],
      ['of an unknown type', { type: 'nonsense', requestId: 'q' }, 'UNKNOWN_TYPE'],
      ['with a wrong field', { type: 'task', task: 5, requestId: 'q' }, 'INVALID_FRAME'],
      [
        'with a wrong priority',
        { type: 'message', content: 'x', priority: 1, requestId: 'q' },
        'INVALID_FRAME',
      ],
      ['for an unknown task', { type: 'task', task: 'nosuch', requestId: 'q' }, 'TASK_UNKNOWN'],
    ])('%s is answered with its requestId', async (_, frame, code) => {
      const from = client.frames.length;
      client.send(frame);
      const error = await client.until((each) => client.frames.indexOf(each) >= from);
      expect(error).toEqual({ type: 'error', code, message: expect.any(String), requestId: 'q' });
      const { message } = error;
      expect(message?.length).toBeLessThan(1000);
      if (code === 'TOO_LARGE') expect(message).toContain('65536 bytes');
    });

    it.each([
      ['no id', { content: long }],
      ['an id that is no text', { content: long, requestId: 5 }],
      ['an id without end', `{"content":"${long}","requestId":"q`],
      ['an id that is too long to be given back', { content: long, requestId: long }],
      ['an id in a list', [{ requestId: 'q', content: long }]],
      ['an id behind the end', `{"content":"${long}"}"requestId":"q"`],
    ])('with %s is answered without one', async (_, frame) => {
      const from = client.frames.length;
      client.send(frame);
      const error = await client.until((each) => client.frames.indexOf(each) >= from);
      expect(error).toEqual({ type: 'error', code: 'TOO_LARGE', message: expect.any(String) });
    });

    it('is answered with the requestId that it carried', async () => {
      client.send({ type: 'stream_request', content: 5, requestId: 'q9' });
      expect(await client.end('q9')).toMatchObject({ code: 'INVALID_FRAME' });
    });

    it('changes no prototype', async () => {
      client.send(
        '{"type":"message","content":"x","requestId":"q10","__proto__":{"polluted":1},"options":{"__proto__":{"seed":1}}}',
      );
      await client.end('q10');
      expect((await client.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
    });

    it.each([
      ['beyond every limit', 'x'.repeat(257 * 1024), 1009],
      ['that is binary', Buffer.from([1, 2, 3]), 1003],
    ])('%s closes its connection, and only that one', async (_, frame, code) => {
      const other = await WsClient.connect(`${server.ws}/other`);
      other.socket.send(frame);
      expect(await other.closed).toMatchObject({ code });
      expect((await client.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
    });
  });

  describe('a connection', () => {
    it('that sends nothing but bad frames is closed with 4400', async () => {
      const client = await WsClient.connect(`${server.ws}/hopeless`);
      for (let frame = 0; frame < 10; frame++) client.send('{');
      expect(await client.closed).toMatchObject({ code: 4400 });
      expect(client.frames).toHaveLength(10);
    });

    it.each<[string, object | string]>([
      ['of an unknown type', { type: 'nonsense' }],
      ['with a wrong field', { type: 'task', task: 5 }],
      ['that are too deep', deep(40)],
      ['that are no objects', '5'],
      ['that are too large', { content: 'x'.repeat(66_000) }],
      ['for unknown tasks', { type: 'task', task: 'nosuch' }],
      ['for unknown streams', { type: 'cancel', streamId: 'nosuch' }],
    ])('that sends 25 frames %s hears of each, and goes on', async (_, frame) => {
      const client = await WsClient.connect(`${server.ws}/unlucky`);
      for (let count = 0; count < 25; count++) client.send(frame);
      client.send({ type: 'message', content: 'Hallo', requestId: 'q' });
      expect(await client.end('q')).toMatchObject({ type: 'message' });
      expect(client.frames.filter(({ type }) => type === 'error')).toHaveLength(25);
      await client.close();
    });

    it('may send what is no JSON now and then', async () => {
      const client = await WsClient.connect(`${server.ws}/careless`);
      for (let count = 0; count < 25; count++) {
        client.send('{');
        client.send(count % 2 === 0 ? { type: 'ping' } : { type: 'nonsense' });
      }
      client.send({ type: 'message', content: 'Hallo', requestId: 'q' });
      expect(await client.end('q')).toMatchObject({ type: 'message' });
      await client.close();
    });

    it('that floods is closed with 1008, and others notice nothing', async () => {
      const flood = await WsClient.connect(`${server.ws}/flood`);
      const other = await WsClient.connect(`${server.ws}/calm`);
      for (let frame = 0; frame < 5000; frame++) flood.send('{"type":"ping"}');
      expect(await flood.closed).toMatchObject({ code: 1008 });
      expect((await other.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
      await other.close();
    });

    it('may not have more streams than it is allowed to', async () => {
      const client = await WsClient.connect(`${server.ws}/busy`);
      for (const requestId of ['a', 'b', 'c'])
        client.send({ type: 'stream_request', content: 'Hallo', requestId });
      expect(await client.end('c')).toMatchObject({ type: 'error', code: 'BUSY' });
      await client.until((frame) => frame.type === 'streaming_end');
      await client.close();
    });

    it.each(['', 'a%2fb', 'a%00b', 'a%0ab', 'a b', 'ü', 'x'.repeat(129), '..%2f..'])(
      'is refused for the client id %j',
      async (id) => {
        await expect(WsClient.connect(`${server.ws}/${id}`)).rejects.toThrow();
      },
    );

    it.each(['__proto__', 'constructor', 'a.b_c~d-e', 'x'.repeat(128)])(
      'is taken for the client id %j',
      async (id) => {
        const client = await WsClient.connect(`${server.ws}/${id}`);
        expect((await client.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
        await client.close();
      },
    );

    it('from a foreign page is refused', async () => {
      await expect(WsClient.connect(`${server.ws}/x`, { origin: 'https://evil.example' })).rejects.toThrow();
      const client = await WsClient.connect(`${server.ws}/x`, { origin: 'http://localhost:3000' });
      await client.close();
    });
  });

  describe.each(['/chat', '/chat/stream'])('a bad request to %s', (path) => {
    it.each<[string, string, Record<string, string>, number, string, RegExp]>([
      ['that is no JSON', '{', {}, 400, 'INVALID_JSON', /./],
      ['without a body', '', {}, 400, 'INVALID_JSON', /./],
      ['nested 5000 levels deep', deep(5000), {}, 400, 'TOO_DEEP', /./],
      ['that is no object', '[]', {}, 400, 'INVALID_REQUEST', /expected map, got list/],
      ['without content', '{"user_id":"u"}', {}, 400, 'INVALID_REQUEST', /content: expected string/],
      ['without a user', '{"content":"x"}', {}, 400, 'INVALID_REQUEST', /user_id: expected string/],
      ['with null', '{"content":null,"user_id":"u"}', {}, 400, 'INVALID_REQUEST', /content: .*null/],
      [
        'with an unknown field',
        '{"content":"x","user_id":"u","contents":1}',
        {},
        400,
        'INVALID_REQUEST',
        /contents: unknown key \(known: content, /,
      ],
      [
        'with a wrong option',
        '{"content":"x","user_id":"u","options":{"seed":1e400}}',
        {},
        400,
        'INVALID_REQUEST',
        /options\.seed/,
      ],
      [
        'in XML',
        '<x/>',
        { 'content-type': 'application/xml' },
        415,
        'UNSUPPORTED_MEDIA_TYPE',
        /application\/json/,
      ],
      [
        'that is too large',
        JSON.stringify({ content: 'x'.repeat(1 << 25), user_id: 'u' }),
        {},
        413,
        'TOO_LARGE',
        /33554432 bytes, the limit "bodyLimitBytes" of endpoint-chat/,
      ],
      [
        'from a foreign page',
        '{"content":"x","user_id":"u"}',
        { origin: 'https://evil.example' },
        403,
        'FORBIDDEN',
        /allowedOrigins/,
      ],
    ])(
      '%s is answered with its error and its request id',
      async (_, body, headers, status, code, message) => {
        // Not with fetch, which gives up where the answer to a body comes before all of it was sent.
        const answer = await call(server.port, {
          method: 'POST',
          path,
          headers: { 'content-type': 'application/json', 'x-request-id': 'my-id', ...headers },
          body,
        });
        expect(answer.status).toBe(status);
        expect(answer.headers['x-request-id']).toBe('my-id');
        const { error } = answer.json;
        expect(error).toMatchObject({ code, requestId: 'my-id' });
        expect(error.message).toMatch(message);
        expect((await fetch(`${server.url}/health`)).status).toBe(200);
      },
    );
  });

  describe('a request to the wrong place', () => {
    it('is told so as JSON', async () => {
      const missing = await fetch(`${server.url}/nowhere`);
      expect(missing.status).toBe(404);
      expect(await missing.json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
      const wrong = await fetch(`${server.url}/chat`);
      expect(wrong.status).toBe(405);
      expect(wrong.headers.get('allow')).toContain('POST');
      expect(await wrong.json()).toMatchObject({ error: { code: 'METHOD_NOT_ALLOWED' } });
      const head = await fetch(`${server.url}/health`, { method: 'HEAD' });
      expect(head.status).toBe(200);
      expect(await head.text()).toBe('');
    });
  });
});
