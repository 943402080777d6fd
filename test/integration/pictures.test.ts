import { createCipheriv } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningServer, startServer } from '../support/server.js';
import { isThorough } from '../support/thorough.js';
import { call } from '../support/transport.js';

/** Base64 of bytes that no coding shortens, so that a part of them cannot be taken for another. */
const photoOf = (bytes: number): string =>
  createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
    .update(Buffer.alloc(bytes))
    .toString('base64');
const photo = photoOf(12_000_000);
/** Stands for a photo in a body. */
const mark = '<photo>';
const dataUrl = (base64: string) => `data:image/jpeg;base64,${base64}`;

interface Seen {
  readonly path: string;
  readonly body: {
    readonly messages: readonly { readonly content: unknown; readonly images?: readonly string[] }[];
    readonly tools?: readonly unknown[];
  };
}

/** A model server with both APIs that keeps the last request. */
async function startModel() {
  let seen: Seen | undefined;
  const server = createServer(async (req, res): Promise<unknown> => {
    const parts: Buffer[] = [];
    for await (const part of req) parts.push(part);
    const { url: path = '' } = req;
    if (path === '/api/version') return res.end('{"version":"1"}');
    if (path === '/api/tags' || path === '/v1/models')
      return res.end('{"models":[{"name":"eye"}],"data":[{"id":"eye"}]}');
    if (parts.length === 0) return res.writeHead(404).end();
    seen = { path, body: JSON.parse(Buffer.concat(parts).toString()) };
    if (path === '/api/chat')
      return res.end('{"message":{"role":"assistant","content":"seen"},"done":true,"done_reason":"stop"}\n');
    return res.end(
      'data: {"choices":[{"index":0,"delta":{"content":"seen"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take: (): Seen => {
      const last = seen as Seen;
      seen = undefined;
      return last;
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

const asked = (model: string, url: string) => ({
  model,
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: question },
        { type: 'image_url', image_url: { url } },
      ],
    },
  ],
});

const question = 'What is this?';

/** A picture in the form of each dialect, and the text of its answer. */
// biome-ignore lint/suspicious/noExplicitAny: JSON of any shape.
const dialects: Readonly<Record<string, { body(model: string): object; text(json: any): string }>> = {
  '/v1/chat/completions': {
    body: (model) => asked(model, dataUrl(mark)),
    text: (json) => json.choices[0].message.content,
  },
  '/v1/responses': {
    body: (model) => ({
      model,
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: question },
            { type: 'input_image', image_url: dataUrl(mark) },
          ],
        },
      ],
    }),
    text: (json) => json.output[0].content[0].text,
  },
  '/v1/messages': {
    body: (model) => ({
      model,
      max_tokens: 10,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: question },
            { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: mark } },
          ],
        },
      ],
    }),
    text: (json) => json.content[0].text,
  },
  '/api/chat': {
    body: (model) => ({
      model,
      stream: false,
      messages: [{ role: 'user', content: question, images: [mark] }],
    }),
    text: (json) => json.message.content,
  },
  '/api/generate': {
    body: (model) => ({ model, stream: false, prompt: question, images: [mark] }),
    text: (json) => json.response,
  },
};

type Headers = Readonly<Record<string, string>>;
const completions = '/v1/chat/completions';

/** Bytes, because a text of this size is copied once more for each step to them; the photo in it needs no escapes. */
const bytesOf = (json: object, picture = photo): Buffer => {
  const [before = '', after] = JSON.stringify(json).split(mark);
  if (after === undefined) return Buffer.from(before);
  return Buffer.concat([Buffer.from(before), Buffer.from(picture, 'latin1'), Buffer.from(after)]);
};
const tooLarge = bytesOf({ a: 'x'.repeat(32 * 1024 * 1024) });
const compressed = new Map<string, Buffer>();

const post = ({ port }: RunningServer, path: string, json: object, headers: Headers = {}) => {
  const bytes = Buffer.isBuffer(json) ? json : bytesOf(json);
  return call(port, {
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json', ...headers },
    body: headers['content-encoding'] ? gzipped(json, bytes) : bytes,
  });
};

/** Compressed once for all servers, which takes longer than they do. */
function gzipped(json: object, bytes: Buffer): Buffer {
  const key = JSON.stringify(json);
  const made = compressed.get(key) ?? gzipSync(bytes, { level: 1 });
  compressed.set(key, made);
  return made;
}

type Model = Awaited<ReturnType<typeof startModel>>;

const start = (model: Model, profile: string, transport: 'uws' | 'node') =>
  startServer({
    transport,
    args: profile === 'production' ? ['--profile', profile] : [],
    config: {
      plugins: {
        'endpoint-docs': { enabled: true },
        'agent-ollama': { config: { baseUrl: model.url, model: 'eye' } },
        'agent-openai': { config: { baseUrl: `${model.url}/v1`, model: 'eye' } },
      },
    },
  });

describe.each([
  ['default', 'uws'],
  ['default', 'node'],
  ['production', 'uws'],
] as const)('in the profile %s over transport-%s', (profile, transport) => {
  let model: Model;
  let server: RunningServer;
  beforeAll(async () => {
    model = await startModel();
    server = await start(model, profile, transport);
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    model.close();
  });

  const ways: readonly (readonly [how: string, headers: Headers])[] = [
    ['as it is', {}],
    ['compressed', { 'content-encoding': 'gzip' }],
    ['with a key', { 'idempotency-key': 'k' }],
    ['in a conversation', { 'x-conversation-id': 'c' }],
  ];
  const isFirst = profile === 'default' && transport === 'uws';
  it.each(isThorough || isFirst ? ways : ways.slice(0, 2))(
    'a photo of 12 MB reaches Ollama and a server of OpenAI’s API byte by byte, %s',
    async (_, headers) => {
      for (const agent of ['ollama', 'openai']) {
        const own = { ...headers, ...('idempotency-key' in headers && { 'idempotency-key': `k${agent}` }) };
        const answer = await post(server, completions, { ...asked(agent, dataUrl(mark)), user: 'u' }, own);
        expect([answer.status, answer.json.choices?.[0].message.content]).toEqual([200, 'seen']);
        const { path, body } = model.take();
        const message = body.messages.at(-1);
        if (path === '/api/chat') expect(message?.images?.[0] === photo).toBe(true);
        else {
          const parts = message?.content as
            | undefined
            | readonly { readonly image_url?: { readonly url: string } }[];
          expect(parts?.[1]?.image_url?.url === dataUrl(photo)).toBe(true);
        }
      }
    },
  );

  // The profiles differ in their limits, and not in these.
  const rows = Object.entries(dialects);
  it.each(isThorough || profile === 'default' ? rows : rows.slice(0, 1))(
    'a photo of 12 MB in POST %s reaches the model',
    async (path, dialect) => {
      const answer = await post(server, path, dialect.body('ollama'));
      expect([answer.status, dialect.text(answer.json)]).toEqual([200, 'seen']);
      expect(model.take().body.messages.at(-1)?.images?.[0] === photo).toBe(true);
    },
  );

  it.each(['ollama', 'openai'])(
    'a photo in the text of POST /chat reaches %s byte by byte',
    async (agent) => {
      const content = `${dataUrl(mark)} – was ist das?`;
      const answer = await post(server, '/chat', { content, agent, user_id: `u${agent}` });
      expect([answer.status, answer.json.response]).toEqual([200, 'seen']);
      expect(model.take().body.messages.at(-1)?.content === content.replace(mark, photo)).toBe(true);
      // It is more than a conversation may hold, which the log says, and where that is set.
      const line = await server.untilLog(({ msg }) => msg === 'the conversation could not be stored');
      expect(JSON.stringify(line)).toContain('8000000 characters, the limit \\"conversationLimitChars\\"');
    },
  );

  it('the conversation of an agent goes on for 20 turns with 30 KB of tools each', async () => {
    const tools = Array.from({ length: 30 }, (_, place) => ({
      type: 'function',
      function: {
        name: `tool_${place}`,
        description: 'x'.repeat(900),
        parameters: { type: 'object', properties: { path: { type: 'string' } } },
      },
    }));
    const messages: object[] = [{ role: 'system', content: 'You write code.' }];
    for (let turn = 0; turn < 20; turn++) {
      messages.push(
        { role: 'user', content: `Go on: ${turn}` },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: `c${turn}`, type: 'function', function: { name: 'tool_1', arguments: '{"path":"a"}' } },
          ],
        },
        { role: 'tool', tool_call_id: `c${turn}`, content: `${turn} ${'y'.repeat(30_000)}` },
      );
      for (const agent of ['ollama', 'openai']) {
        const answer = await post(server, completions, { model: agent, messages, tools });
        expect([turn, answer.status, answer.json.choices?.[0].message.content]).toEqual([turn, 200, 'seen']);
        const { body } = model.take();
        expect(body.messages).toHaveLength(messages.length);
        expect(body.tools).toHaveLength(tools.length);
      }
    }
  });

  it('what is too large is refused with the name of its limit, and of the others all is as before', async () => {
    const { json: openapi } = await call(server.port, { method: 'GET', path: '/openapi.json' });
    const routes: Record<string, { post?: { requestBody?: object } }> = openapi.paths;
    const paths = Object.keys(routes).filter(
      (path) => /^\/(chat|v1|api)\b/.test(path) && routes[path]?.post?.requestBody,
    );
    expect(paths).toEqual(expect.arrayContaining(['/chat', completions, ...Object.keys(dialects)]));
    for (const path of paths) {
      const { status, json } = await post(server, path, tooLarge);
      const text = json.error.message ?? json.error;
      expect([path, status, text]).toEqual([
        path,
        413,
        expect.stringMatching(/^more than 33554432 bytes, the limit "bodyLimitBytes" of endpoint-[a-z]+$/),
      ]);
    }
    const { status, json } = await post(server, '/tasks/any', { input: 'x'.repeat(1024 * 1024) });
    expect([status, json.error.message]).toEqual([
      413,
      'more than 1048576 bytes, the limit "bodyLimitBytes" of the transport',
    ]);
  });
});

describe('the time for a picture', () => {
  let model: Model;
  let server: RunningServer;
  beforeAll(async () => {
    model = await startModel();
    server = await start(model, 'default', 'uws');
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    model.close();
  });

  it.each([
    ['as it is', {}],
    ['with a key', { 'idempotency-key': 'k' }],
  ])('grows with its size and no faster, %s', async (_, headers) => {
    const taken = async (picture: string, round: number): Promise<number> => {
      const body = bytesOf(
        { ...asked('ollama', dataUrl(mark)), user: `u${round}${picture.length}` },
        picture,
      );
      const from = performance.now();
      expect((await post(server, completions, body, headers)).status).toBe(200);
      return performance.now() - from;
    };
    const [small, large] = [photoOf(3_000_000), photo];
    // Of users of their own: with a key, the same once more would only be read again.
    for (let round = 1; round <= 4; round++) await taken(small, -round);
    let [smallMs, largeMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    // What is done again for each part of the whole takes sixteen times as long. A busy machine needs more rounds.
    for (let round = 0; round < 4 || (round < 40 && largeMs / smallMs >= 10); round++) {
      smallMs = Math.min(smallMs, await taken(small, round));
      largeMs = Math.min(largeMs, await taken(large, round));
    }
    expect(largeMs / smallMs).toBeLessThan(10);
  });
});
