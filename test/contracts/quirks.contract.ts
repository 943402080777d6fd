import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { Usage, WaggleError } from '#kernel';
import type { UpstreamAgent } from '#sdk/upstream';
import { deferred } from '../support/kernel.js';
import { leakCheck } from '../support/leaks.js';
import { type ScriptedServer, type Scripts, startScriptedServer } from '../support/scripted-server.js';
import { hello, wholeAnswer } from '../support/whole-answer.js';

/** What becomes of an answer: it ends well, or with an error. */
export interface Outcome {
  readonly text?: string;
  readonly thinking?: string;
  readonly reason?: string;
  readonly usage?: Usage | undefined;
  readonly code?: string;
  readonly details?: object;
  /** In the error's message. */
  readonly says?: string | RegExp;
  readonly hides?: string | RegExp;
}

/** One row of a table: a quirk is the bytes that a server sends, and what is to become of them. */
export type Quirk = readonly [name: string, scripts: Scripts, outcome: Outcome];

type Create = (serverUrl: string, options?: object) => UpstreamAgent<unknown>;

/** The secret that agents of these tests have, where they can have one. */
export const secret = 'my-token-of-12-signs';

/** Runs a table of quirks. Nothing is left behind by any of them. */
export function quirks(create: Create, rows: readonly Quirk[], options: object = {}): void {
  it.each(rows)('%s', async (_, scripts, outcome) => {
    const leaks = leakCheck();
    const server = await startScriptedServer(scripts);
    const agent = create(server.url, options);
    const answer = await wholeAnswer(agent, hello('m'));
    agent.close();
    await server.close();
    await leaks.settled();
    expectOutcome(answer, outcome);
  });
}

/** What an agent has answered is what was to become of it. */
function expectOutcome(
  { text, thinking, last, error, chunks }: Awaited<ReturnType<typeof wholeAnswer>>,
  outcome: Outcome,
): void {
  const { code, details = {}, says, hides } = outcome;
  if (code === undefined) {
    expect(error).toBeUndefined();
    expect(last).toMatchObject({ type: 'done', reason: outcome.reason ?? 'stop' });
    if ('usage' in outcome) expect(last?.type === 'done' && last.usage).toEqual(outcome.usage);
  } else {
    expect(error).toMatchObject({ code });
    const told = (error as WaggleError).details as Readonly<Record<string, unknown>>;
    for (const [key, value] of Object.entries(details)) expect(told[key]).toEqual(value);
    expect(chunks.some(({ type }) => type === 'done')).toBe(false);
    const { message } = error as Error;
    if (says !== undefined) expect(message).toMatch(says);
    if (hides !== undefined) expect(message).not.toMatch(hides);
    expect(message.length).toBeLessThan(700);
    expect(message).not.toMatch(/[\p{Cc}<]|127\.0\.0\.1/u);
    expect(message).not.toContain(secret);
  }
  expect(text).toBe(outcome.text ?? '');
  expect(thinking).toBe(outcome.thinking ?? '');
}

const failed = 'AGENT_FAILED';
const unavailable = 'AGENT_UNAVAILABLE';
const tooLong = 'CONTEXT_TOO_LONG';
const own = { refused: undefined, model: undefined };
const json = (value: unknown) => JSON.stringify(value);
const page =
  '<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>p{}</style></head><body><h1>Oh</h1></body>';

/** Answers that are none: a status, a body, and what that means. */
const refusals: readonly (readonly [status: number, body: string, outcome: Outcome])[] = [
  // One error, many spellings.
  [
    400,
    json({ error: { message: 'no', type: 'x', code: null } }),
    { code: failed, details: { refused: 400 }, says: /: no$/ },
  ],
  [400, json({ error: 'no' }), { code: failed, details: { refused: 400 }, says: /: no$/ }],
  [
    400,
    json({ object: 'error', message: 'no', type: 'BadRequestError', code: 400 }),
    { code: failed, details: { refused: 400 }, says: /: no$/ },
  ],
  [400, json({ detail: 'no' }), { code: failed, says: /: no$/ }],
  [
    422,
    json({ detail: [{ loc: ['body', 'messages', 0], msg: 'field required', type: 'missing' }] }),
    { code: failed, details: { refused: 422 }, says: 'body.messages.0: field required' },
  ],
  [
    422,
    json({ object: 'error', message: { detail: [{ loc: ['body', 'top_p'], msg: 'too big' }] } }),
    { code: failed, says: 'body.top_p: too big' },
  ],
  [400, json({ message: 'no' }), { code: failed, says: /: no$/ }],
  [
    400,
    json({ statusCode: 400, error: 'Bad Request', message: 'seed is no number' }),
    { code: failed, says: 'seed is no number' },
  ],
  [
    400,
    json([{ error: { code: 400, message: 'no', status: 'INVALID_ARGUMENT' } }]),
    { code: failed, details: { refused: 400 }, says: /: no$/ },
  ],
  [
    400,
    json({ type: 'error', error: { type: 'invalid_request_error', message: 'no' } }),
    { code: failed, says: /: no$/ },
  ],
  [
    400,
    json({ success: false, errors: [{ code: 7003, message: 'one' }, { message: 'two' }] }),
    { code: failed, says: 'one; two' },
  ],
  [
    400,
    json({ type: 'about:blank', title: 'Bad', status: 400, detail: 'no' }),
    { code: failed, says: /: no$/ },
  ],
  [400, json({ base_resp: { status_code: 1004, status_msg: 'no' } }), { code: failed, says: /: no$/ }],
  [400, json({ error: { error: { message: 'no' } } }), { code: failed, says: /: no$/ }],
  [413, 'Payload Too Large', { code: failed, details: { refused: 413 }, says: 'Payload Too Large' }],
  [
    400,
    '<html><head><title>400 Bad Request</title></head><body><center>nginx</center></body></html>',
    { code: failed, says: '400 Bad Request nginx' },
  ],
  [400, '', { code: failed, details: { refused: 400 }, says: 'status 400' }],
  [400, '{"error":', { code: failed, details: { refused: 400 } }],
  [400, json({ error: { code: 'odd_one' } }), { code: failed, says: 'odd_one' }],
  [400, json({}), { code: failed, says: 'no reason' }],
  [400, json({ error: { message: `long ${'x'.repeat(100_000)}` } }), { code: failed, says: 'long xxx' }],
  [400, json({ error: { message: 'two\nlines\u0000' } }), { code: failed, says: 'two lines' }],
  // JSON inside of it.
  [
    400,
    json({ error: json({ error: { code: 400, message: 'inner' } }) }),
    { code: failed, details: { refused: 400 }, says: /: inner$/ },
  ],
  [
    500,
    json({ error: json({ error: { code: 400, message: 'inner', type: 'invalid_request_error' } }) }),
    { code: failed, details: { refused: 400 }, says: /: inner$/ },
  ],
  [
    400,
    json({ error: { message: `SomeException - ${json({ error: { message: 'inner' } })}` } }),
    { code: failed, says: 'SomeException - inner' },
  ],
  [
    400,
    json({
      error: { message: 'Provider returned error', code: 400, metadata: { raw: json({ message: 'inner' }) } },
    }),
    { code: failed, says: 'Provider returned error: inner' },
  ],
  // Whose fault it is.
  [500, json({ error: { message: 'it broke' } }), { code: failed, details: own, says: 'it broke' }],
  [502, page, { code: failed, details: own, says: '502 Bad Gateway Oh' }],
  [504, 'upstream request timeout', { code: failed, details: own, says: 'upstream request timeout' }],
  [404, json({ detail: 'Not Found' }), { code: failed, details: own }],
  [405, json({ detail: 'Method Not Allowed' }), { code: failed, details: own }],
  [409, json({ error: 'conflict' }), { code: failed, details: own }],
  [
    402,
    json({ error: { message: 'Insufficient Balance' } }),
    { code: failed, details: own, says: 'Insufficient Balance' },
  ],
  [
    401,
    json({ error: { message: `Incorrect API key provided: ${secret}` } }),
    { code: failed, details: own, says: 'status 401', hides: 'Incorrect' },
  ],
  [403, json({ error: 'not yours' }), { code: failed, details: own, says: 'status 403', hides: 'yours' }],
  [
    400,
    json({ error: { message: `bad header Bearer ${secret} and sk-proj-abcdef123456` } }),
    { code: failed, hides: /abcdef/ },
  ],
  [
    500,
    json({ error: { message: 'https://me:pass1234@host/x?api_key=abcdef123' } }),
    { code: failed, hides: /pass1234|abcdef123/ },
  ],
  // No such model.
  [
    404,
    json({ error: "model 'm' not found" }),
    { code: failed, details: { model: 'm', refused: undefined } },
  ],
  [
    404,
    json({ error: 'model "m" not found, try pulling it first' }),
    { code: failed, details: { model: 'm' } },
  ],
  [
    404,
    json({ error: { message: 'The model `m` does not exist', code: 'model_not_found' } }),
    { code: failed, details: { model: 'm' } },
  ],
  [
    404,
    json({ object: 'error', message: 'The model `m` does not exist.', type: 'NotFoundError', code: 404 }),
    { code: failed, details: { model: 'm' } },
  ],
  [
    400,
    json({ error: { message: 'm is not a valid model ID', code: 400 } }),
    { code: failed, details: { model: 'm' } },
  ],
  [
    400,
    json({ object: 'error', message: 'Invalid model: m', code: '1500' }),
    { code: failed, details: { model: 'm' } },
  ],
  [
    400,
    json({ error: { message: 'Model Not Exist', type: 'invalid_request_error' } }),
    { code: failed, details: { model: 'm' } },
  ],
  // Too much to read.
  [
    400,
    json({
      error: {
        code: 400,
        message: 'request (45018 tokens) exceeds the available context size (4096 tokens), try increasing it',
        type: 'exceed_context_size_error',
        n_ctx: 4096,
      },
    }),
    { code: tooLong, says: '45018 tokens' },
  ],
  [
    400,
    json({
      error: json({
        error: {
          code: 400,
          message: 'request (9 tokens) exceeds the available context size (8 tokens)',
          type: 'exceed_context_size_error',
        },
      }),
    }),
    { code: tooLong },
  ],
  [
    400,
    json({ error: 'the prompt is longer than the context length currently available to the model; …' }),
    { code: tooLong },
  ],
  [
    400,
    json({
      error: {
        message: "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        code: 'context_length_exceeded',
      },
    }),
    { code: tooLong, says: '4096' },
  ],
  [
    400,
    json({ object: 'error', message: "This model's maximum context length is 8 tokens.", code: 400 }),
    { code: tooLong },
  ],
  [
    400,
    json({ error: { message: 'prompt is too long: 210000 tokens > 200000 maximum' } }),
    { code: tooLong },
  ],
  [
    400,
    json({
      error: { message: 'The input token count (5) exceeds the maximum number of tokens allowed (4).' },
    }),
    { code: tooLong },
  ],
  [
    422,
    json({ error: 'Input validation error: `inputs` must have less than 4096 tokens. Given: 5000' }),
    { code: tooLong },
  ],
  [
    400,
    json({ message: "The input (9 tokens) is longer than the model's context length (8 tokens)." }),
    { code: tooLong },
  ],
  // What it cannot do.
  [
    400,
    json({ error: 'registry.ollama.ai/library/m:latest does not support tools' }),
    { code: failed, details: { refused: 400 }, says: 'does not support tools' },
  ],
  [400, json({ error: '"m" does not support thinking' }), { code: failed, details: { refused: 400 } }],
  [
    400,
    json({
      error: json({
        error: {
          code: 400,
          message: 'Multimodal data provided, but model does not support multimodal requests.',
          type: 'invalid_request_error',
        },
      }),
    }),
    { code: failed, details: { refused: 400 }, says: 'does not support multimodal' },
  ],
  [
    500,
    json({
      error: {
        code: 500,
        message:
          'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj',
        type: 'server_error',
      },
    }),
    { code: failed, details: { refused: 400 } },
  ],
  [
    500,
    json({ error: { code: 500, message: 'tools param requires --jinja flag', type: 'server_error' } }),
    { code: failed, details: { refused: 400 } },
  ],
  [
    500,
    json({ error: 'option "temperature" must be of type float32' }),
    { code: failed, details: { refused: 400 } },
  ],
  [
    500,
    json({ error: 'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object' }),
    { code: failed, details: { refused: 400 } },
  ],
  // Busy.
  [
    429,
    json({ error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } }),
    { code: unavailable, details: { busy: expect.any(Number), retryAfterMs: 2000 } },
  ],
  [
    503,
    json({ error: 'server busy, please try again.  maximum pending requests exceeded' }),
    { code: unavailable, details: { busy: expect.any(Number) } },
  ],
  [
    503,
    json({ error: { message: 'Loading model', type: 'unavailable_error', code: 503 } }),
    { code: unavailable, details: { busy: expect.any(Number) } },
  ],
  [
    529,
    json({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }),
    { code: unavailable, details: { busy: expect.any(Number) } },
  ],
  [503, page, { code: unavailable, details: { busy: expect.any(Number) } }],
  [
    429,
    json({ error: { message: 'You exceeded your current quota', type: 'insufficient_quota' } }),
    { code: failed, details: own, says: 'quota' },
  ],
];

/** What an agent makes of the errors of its model server, and of the ways that an answer is carried, in each dialect. */
export function quirksContract(
  name: string,
  dialect: {
    readonly create: Create;
    /** An answer that says `Hello` in two pieces, to its end. */
    readonly whole: readonly string[];
    /** The error, as it stands in the middle of an answer. */
    inside(error: unknown): string;
  },
): void {
  const { create, whole, inside } = dialect;
  const body = whole.join('');
  const type = (text: string) => ({ 'content-type': text });

  describe(`${name}: refusals`, () => {
    quirks(
      create,
      refusals.map(([status, text, outcome]) => [
        `${status} ${text.slice(0, 100)}`,
        { status, body: text },
        outcome,
      ]),
    );
  });

  describe(`${name}: refusals that are sent oddly`, () => {
    quirks(create, [
      [
        'a date to come back at',
        { status: 503, headers: { 'retry-after': 'Fri, 01 Jan 2100 00:00:00 GMT' } },
        { code: unavailable, details: { retryAfterMs: 30_000 } },
      ],
      [
        'milliseconds to come back after',
        { status: 429, headers: { 'retry-after': '9', 'retry-after-ms': '70' } },
        { code: unavailable, details: { retryAfterMs: 70 } },
      ],
      [
        'no quota, and when there is some',
        {
          status: 429,
          headers: { 'retry-after': '9' },
          body: json({ error: { code: 'insufficient_quota' } }),
        },
        { code: unavailable, details: { retryAfterMs: 9000 } },
      ],
      [
        'an error that is compressed',
        { status: 400, headers: { 'content-encoding': 'gzip' }, body: gzipSync(json({ error: 'no' })) },
        { code: failed, says: /: no$/ },
      ],
      [
        'an error in a stream of events',
        {
          status: 400,
          headers: type('text/event-stream'),
          body: `data: ${json({ error: { message: 'no' } })}\n\n`,
        },
        { code: failed, says: /no$/ },
      ],
      [
        'an error that is cut off',
        { status: 422, headers: { 'content-length': '100' }, body: '{"err', end: 'close' },
        { code: failed, details: { refused: 422 } },
      ],
      [
        'an error without an end to its text',
        { status: 400, body: json({ error: 'x'.repeat(5_000_000) }) },
        { code: failed, details: { refused: 400 } },
      ],
      [
        'a port that speaks TLS, and says so',
        { status: 400, body: 'Client sent an HTTP request to an HTTPS server.' },
        { code: unavailable, says: 'https://' },
      ],
      [
        'such a port of nginx',
        {
          status: 400,
          body: '<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>',
        },
        { code: unavailable, says: 'https://' },
      ],
      [
        'an alert of TLS',
        { raw: true, body: Buffer.from([21, 3, 1, 0, 2, 2, 70]) },
        { code: unavailable, says: 'https://' },
      ],
    ]);
  });

  describe(`${name}: errors in a good answer`, () => {
    const [first = ''] = whole;
    const at = (error: unknown) => ({ body: [first, inside(error)] });
    quirks(create, [
      [
        'an object',
        at({ error: { message: 'it broke', type: 'x' } }),
        { text: 'Hel', code: failed, details: own, says: 'it broke' },
      ],
      ['a text', at({ error: 'it broke' }), { text: 'Hel', code: failed, details: own, says: 'it broke' }],
      [
        'an object of another kind',
        at({ object: 'error', message: 'it broke' }),
        { text: 'Hel', code: failed, says: 'it broke' },
      ],
      ['a detail', at({ detail: 'it broke' }), { text: 'Hel', code: failed, says: 'it broke' }],
      ['a message', at({ message: 'it broke' }), { text: 'Hel', code: failed, says: 'it broke' }],
      [
        'with JSON in its text',
        at({
          error: `an error was encountered while running the model: ${json({ error: { message: 'it broke' } })}`,
        }),
        { text: 'Hel', code: failed, says: 'running the model: it broke' },
      ],
      [
        'with the status of a mistake',
        at({ error: { message: 'no', code: 400 } }),
        { text: 'Hel', code: failed, details: { refused: 400 } },
      ],
      [
        'with the status of a full server',
        at({ error: { message: 'slow down', code: 429 } }),
        { text: 'Hel', code: unavailable, details: { busy: expect.any(Number) } },
      ],
      [
        'too much to read',
        at({ error: { message: 'no', code: 'context_length_exceeded' } }),
        { text: 'Hel', code: tooLong },
      ],
      ['with a key in its text', at({ error: `Bearer ${secret}` }), { text: 'Hel', code: failed }],
      [
        'before all else',
        { body: inside({ error: { message: 'it broke' } }) },
        { code: failed, says: 'it broke' },
      ],
      [
        'as the whole answer',
        { headers: type('application/json'), body: json({ error: { message: 'it broke' } }) },
        { code: failed, says: 'it broke' },
      ],
      [
        'as the whole answer, laid out',
        { body: JSON.stringify({ error: { message: 'it broke' } }, undefined, 2) },
        { code: failed, says: 'it broke' },
      ],
      ['none, as null', { body: [inside({ error: null }), body] }, { text: 'Hello' }],
      ['none, as an empty text', { body: [inside({ error: '' }), body] }, { text: 'Hello' }],
    ]);
  });

  describe(`${name}: how an answer is carried`, () => {
    const encoded = (encoding: string, bytes: Uint8Array) => ({
      headers: { 'content-encoding': encoding },
      body: bytes,
    });
    const carried: readonly Quirk[] = [
      ['without a type', { body }, { text: 'Hello' }],
      ['as text/plain', { headers: type('text/plain'), body }, { text: 'Hello' }],
      ['as application/json', { headers: type('application/json'), body }, { text: 'Hello' }],
      ['as text/event-stream', { headers: type('text/event-stream'), body }, { text: 'Hello' }],
      ['as application/x-ndjson', { headers: type('application/x-ndjson'), body }, { text: 'Hello' }],
      ['as text/html', { headers: type('text/html'), body }, { text: 'Hello' }],
      ['with a mark of the order of bytes', { body: `\ufeff${body}` }, { text: 'Hello' }],
      ['with CR LF', { body: body.replaceAll('\n', '\r\n') }, { text: 'Hello' }],
      ['without a line feed at its end', { body: body.trimEnd() }, { text: 'Hello' }],
      [
        'byte by byte',
        { body: [...Buffer.from(body)].map((byte) => Uint8Array.of(byte)) },
        { text: 'Hello' },
      ],
      ['as gzip', encoded('gzip', gzipSync(body)), { text: 'Hello' }],
      ['as x-gzip in capitals', encoded('X-GZIP', gzipSync(body)), { text: 'Hello' }],
      ['as deflate', encoded('deflate', deflateSync(body)), { text: 'Hello' }],
      ['as deflate without its head', encoded('deflate', deflateRawSync(body)), { text: 'Hello' }],
      ['as deflate, which is gzip', encoded('deflate', gzipSync(body)), { text: 'Hello' }],
      ['as br', encoded('br', brotliCompressSync(body)), { text: 'Hello' }],
      ['as identity', encoded('identity', Buffer.from(body)), { text: 'Hello' }],
      ['as identity and gzip', encoded('identity, gzip', gzipSync(body)), { text: 'Hello' }],
      ['as gzip, which it is not', encoded('gzip', Buffer.from(body)), { text: 'Hello' }],
      ['as br, which it is not', encoded('br', Buffer.from(body)), { text: 'Hello' }],
      [
        'as gzip, byte by byte',
        {
          headers: { 'content-encoding': 'gzip' },
          body: [...gzipSync(body)].map((byte) => Uint8Array.of(byte)),
        },
        { text: 'Hello' },
      ],
      ['as zstd', encoded('zstd', Buffer.from([1])), { code: 'AGENT_PROTOCOL', says: 'compressed' }],
      [
        'as gzip that is broken',
        encoded('gzip', Buffer.concat([gzipSync(body).subarray(0, 12), Buffer.alloc(40, 7)])),
        { code: 'AGENT_PROTOCOL', says: 'decompressed' },
      ],
      [
        'as gzip that is cut off',
        encoded('gzip', gzipSync(' '.repeat(4)).subarray(0, 15)),
        { code: 'AGENT_DISCONNECTED' },
      ],
      [
        'as gzip whose connection is lost',
        { ...encoded('gzip', gzipSync(body).subarray(0, 12)), end: 'reset' },
        { code: 'AGENT_DISCONNECTED' },
      ],
      ['as br of nothing', encoded('br', Buffer.alloc(0)), { code: 'AGENT_DISCONNECTED', says: 'no end' }],
      ['as gzip of nothing', encoded('gzip', Buffer.alloc(0)), { code: 'AGENT_DISCONNECTED' }],
      [
        'as gzip of far too much',
        encoded('gzip', gzipSync(`data: {"x":"${'x'.repeat(50_000_000)}`)),
        { code: 'AGENT_PROTOCOL', says: 'longer than' },
      ],
      ['as a page', { body: page }, { code: 'AGENT_PROTOCOL', says: 'page' }],
      [
        'as a page that is called JSON',
        { headers: type('application/json'), body: `\n ${page}` },
        { code: 'AGENT_PROTOCOL', says: 'page' },
      ],
      [
        'as another protocol',
        {
          raw: true,
          body: 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
          end: 'open',
        },
        { code: 'AGENT_PROTOCOL', says: 'another protocol' },
      ],
      ['as nothing', { body: '' }, { code: 'AGENT_DISCONNECTED' }],
      ['as nothing, with 204', { status: 204 }, { code: 'AGENT_DISCONNECTED' }],
    ];
    quirks(create, carried);
  });

  it(`${name} asks for the list again when a model of it was removed`, async () => {
    const listing = (model: string) => ({ body: json({ models: [{ name: model }], data: [{ id: model }] }) });
    const server = await startScriptedServer(
      ({ body: asked }) =>
        asked.model === 'old' ? { status: 404, body: json({ error: "model 'old' not found" }) } : { body },
      { gets: [listing('old'), listing('new')] },
    );
    const agent = create(server.url);
    const models = () => server.chats.map(({ body: asked }) => asked.model);
    expect((await wholeAnswer(agent, hello())).error).toMatchObject({ details: { model: 'old' } });
    expect(await wholeAnswer(agent, hello())).toMatchObject({ text: 'Hello' });
    // That is no model of the list.
    await wholeAnswer(agent, hello('old'));
    expect(await wholeAnswer(agent, hello())).toMatchObject({ text: 'Hello' });
    expect(models()).toEqual(['old', 'new', 'old', 'new']);
    expect(server.requests.filter(({ method }) => method === 'GET')).toHaveLength(2);
    agent.close();
    await server.close();
  });

  describe(`${name}: a compressed answer`, () => {
    let server: ScriptedServer | undefined;
    afterEach(() => server?.close());

    it('comes as it is sent, and its connection serves the next one', async () => {
      const { createGzip, constants } = await import('node:zlib');
      const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
      const compressed = async (text: string) => {
        gzip.write(text);
        await new Promise<void>((resolve) => gzip.flush(() => resolve()));
        return gzip.read() as Uint8Array;
      };
      const [one = '', ...rest] = whole;
      const first = await compressed(one);
      const second = await compressed(rest.join(''));
      const seen = deferred<void>();
      const headers = { 'content-encoding': 'gzip' };
      server = await startScriptedServer([{ headers, body: [first, seen.promise, second] }, { body }]);
      const agent = create(server.url);
      const release = () => seen.resolve();
      expect(await wholeAnswer(agent, hello('m'), undefined, release)).toMatchObject({
        text: 'Hello',
        error: undefined,
      });
      expect(await wholeAnswer(agent, hello('m'))).toMatchObject({ text: 'Hello', error: undefined });
      agent.close();
    });
  });
}
