import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { accessPlugin, as, TestUsers } from '../../support/access.js';
import { done, ScriptedAgent, text } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';
import { WsClient } from '../../support/ws-client.js';

const agent = new ScriptedAgent('scripted');
const plugin = definePlugin({ name: 'scripted', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) });

// biome-ignore lint/suspicious/noExplicitAny: JSON of any shape.
type Json = any;

/** A client of the Responses API. */
class ResponsesClient {
  readonly ws: WsClient;
  #seen = 0;

  constructor(ws: WsClient) {
    this.ws = ws;
  }

  static async connect({ url }: Pick<Hive, 'url'>, headers = {}): Promise<ResponsesClient> {
    return new ResponsesClient(
      await WsClient.connect(`${url.replace('http', 'ws')}/v1/responses`, { headers }),
    );
  }

  send(frame: object): void {
    this.ws.send(frame);
  }

  create(frame: object): void {
    this.send({ type: 'response.create', model: 'scripted', ...frame });
  }

  /** The frames after those of the last call, up to one of a type. */
  async until(type: RegExp): Promise<Json[]> {
    const from = this.#seen;
    await this.ws.until((frame) => this.ws.frames.indexOf(frame) >= from && type.test(frame.type));
    const at = this.ws.frames.findIndex((frame, index) => index >= from && type.test(frame.type));
    this.#seen = at + 1;
    return this.ws.frames.slice(from, this.#seen) as Json[];
  }

  /** The events of one response. */
  async response(frame: object): Promise<Json[]> {
    this.create(frame);
    return this.until(/^response\.(completed|failed|incomplete)$|^error$/);
  }

  async close(): Promise<void> {
    this.ws.close();
    await this.ws.closed;
  }
}

describe.each(['uws', 'node'] as const)('a WebSocket at /v1/responses of transport-%s', (transport) => {
  let hive: Hive;
  let client: ResponsesClient;
  beforeAll(async () => {
    hive = await startHive({
      transport,
      plugins: [plugin],
      config: {
        'endpoint-responses': {
          maxBadFrames: 2,
          maxFramesPerSecond: 4,
          connectionMemoryChars: 600,
          frameLimitBytes: 100_000,
        },
      },
    });
  });
  afterAll(() => hive.close());
  beforeEach(async () => {
    agent.script = [text('Hello '), text('there'), done];
    agent.requests.length = 0;
    client = await ResponsesClient.connect(hive);
    return () => client.close();
  });

  it('sends the events of a response, one in each frame, as HTTP does', async () => {
    const events = await client.response({ input: 'Hallo' });
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
    const { response } = events.at(-1);
    expect(response).toMatchObject({ status: 'completed', output: [{ content: [{ text: 'Hello there' }] }] });
    const again = await (await fetch(`${hive.url}/v1/responses/${response.id}?stream=true`)).text();
    const data = [...again.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => JSON.parse(json as string));
    expect(data).toEqual(events);
  });

  it('takes the fields of a response in an object of their own as well', async () => {
    client.send({ type: 'response.create', response: { model: 'scripted', input: 'Hallo' } });
    expect((await client.until(/completed/)).at(-1).response.status).toBe('completed');
  });

  it('remembers responses that are not stored, for itself alone', async () => {
    const [{ response: first }] = (await client.response({ input: 'Hallo', store: false })).slice(-1);
    const next = { input: 'And?', store: false, previous_response_id: first.id };
    const second = (await client.response(next)).at(-1).response;
    expect(second.previous_response_id).toBe(first.id);
    expect(agent.requests.at(-1)?.messages.map(({ content }) => content)).toEqual([
      'Hallo',
      'Hello there',
      'And?',
    ]);
    const other = await ResponsesClient.connect(hive);
    const refused = (await other.response(next)).at(-1);
    expect(refused).toMatchObject({
      type: 'error',
      status: 400,
      code: 'previous_response_not_found',
      param: 'previous_response_id',
      error: { code: 'previous_response_not_found', type: 'invalid_request_error' },
    });
    await other.close();
    // The oldest has made room.
    await client.response({ ...next, previous_response_id: second.id });
    expect((await client.response(next)).at(-1).code).toBe('previous_response_not_found');
  });

  it('follows one that was stored', async () => {
    const { response } = (await client.response({ input: 'Hallo' })).at(-1);
    await client.response({ input: 'And?', previous_response_id: response.id, store: false });
    expect(agent.requests.at(-1)?.messages).toHaveLength(3);
  });

  it('has one response at a time', async () => {
    agent.script = [text('Hel'), 'wait', text('lo'), done];
    client.create({ input: 'Hallo' });
    await client.until(/delta/);
    client.create({ input: 'Hallo' });
    expect((await client.until(/error/)).at(-1)).toMatchObject({
      status: 409,
      code: 'response_already_in_flight',
    });
    agent.release();
    const events = await client.until(/completed/);
    expect(events.at(-1).response.output[0].content[0].text).toBe('Hello');
    expect(agent.requests).toHaveLength(1);
    agent.script = [text('Hello'), done];
    expect((await client.response({ input: 'Hallo' })).at(0).type).toBe('response.created');
  });

  it('prepares a model without an answer', async () => {
    const events = await client.response({ input: 'Long before', generate: false, store: false });
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.completed',
    ]);
    const { response } = events.at(-1);
    expect(response).toMatchObject({ status: 'completed', output: [] });
    expect(agent.requests.at(-1)?.options?.maxTokens).toBe(1);
    await client.response({ input: 'And?', previous_response_id: response.id });
    expect(agent.requests.at(-1)?.messages.map(({ content }) => content)).toEqual(['Long before', 'And?']);
  });

  it('cancels, which stops the agent', async () => {
    agent.script = [text('Hel'), 'wait', done];
    client.create({ input: 'Hallo' });
    await client.until(/delta/);
    client.send({ type: 'waggle:cancel' });
    const { response } = (await client.until(/incomplete/)).at(-1);
    expect(response.status).toBe('cancelled');
    expect(agent.running).toBe(0);
    client.send({ type: 'waggle:cancel', response_id: response.id });
    expect((await client.until(/error/)).at(-1).code).toBe('response_not_found');
  });

  it('cancels a response that has not begun', async () => {
    agent.script = [text('Hel'), 'wait', done];
    client.create({ input: 'Hallo' });
    client.send({ type: 'waggle:cancel' });
    const { response } = (await client.until(/incomplete|error/)).at(-1);
    expect(response?.status).toBe('cancelled');
    await expect.poll(() => agent.running).toBe(0);
    agent.script = [text('Hello'), done];
    expect((await client.response({ input: 'Hallo' })).at(-1).type).toBe('response.completed');
  });

  it('goes on after a connection that was lost, and stops for one that was closed', async () => {
    agent.script = [text('Hel'), 'wait', text('lo'), done];
    const lost = await ResponsesClient.connect(hive);
    lost.create({ input: 'Hallo', store: false });
    const before = await lost.until(/delta/);
    lost.ws.socket.terminate();
    await lost.ws.closed;
    const [{ response }] = before;
    client.send({
      type: 'waggle:resume',
      response_id: response.id,
      starting_after: before.at(-1).sequence_number,
    });
    agent.release();
    const events = [...before, ...(await client.until(/completed/))];
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
    expect(events.at(-1).response.output[0].content[0].text).toBe('Hello');
    // It is the connection's own from here on.
    agent.script = [text('Hello'), done];
    await client.response({ input: 'And?', previous_response_id: response.id });
    expect(agent.requests.at(-1)?.messages).toHaveLength(3);

    agent.script = [text('Hel'), 'wait', done];
    const closed = await ResponsesClient.connect(hive);
    closed.create({ input: 'Hallo' });
    await closed.until(/delta/);
    await closed.close();
    await expect.poll(() => agent.running).toBe(0);
  });

  it.each<[what: string, frame: object | string, status: number, code: string]>([
    ['no JSON', '{', 400, 'invalid_json'],
    ['no object', '[]', 400, 'invalid_value'],
    ['a frame that is too large', ' '.repeat(100_001), 413, 'request_too_large'],
    ['no type', {}, 400, 'invalid_value'],
    ['an unknown type', { type: 'response.cancel' }, 400, 'unknown_type'],
    ['a wrong field', { type: 'waggle:resume', response_id: 1 }, 400, 'invalid_value'],
    [
      'a response that is not there',
      { type: 'waggle:resume', response_id: 'resp_x' },
      404,
      'response_not_found',
    ],
    ['nothing to cancel', { type: 'waggle:cancel' }, 404, 'response_not_found'],
    ['no model', { type: 'response.create', input: 'a' }, 400, 'invalid_value'],
    ['an unknown model', { type: 'response.create', model: 'nobody', input: 'a' }, 404, 'model_not_found'],
    [
      'what is too deep',
      {
        type: 'response.create',
        model: 'scripted',
        input: 'a',
        metadata: { a: JSON.parse('['.repeat(40) + ']'.repeat(40)) },
      },
      400,
      'invalid_value',
    ],
  ])('refuses %s, and goes on', async (_, frame, status, code) => {
    client.ws.send(frame);
    expect((await client.until(/error/)).at(-1)).toMatchObject({ status, code, error: { code } });
    expect((await client.response({ input: 'Hallo' })).at(-1).type).toBe('response.completed');
  });

  it('tells a client that resumes after the last event', async () => {
    const { response, sequence_number: last } = (await client.response({ input: 'Hallo' })).at(-1);
    const resume = { type: 'waggle:resume', response_id: response.id };
    for (const starting_after of [last, last + 1]) {
      client.send({ ...resume, starting_after });
      expect((await client.until(/./)).at(-1)).toMatchObject({
        code: 'invalid_value',
        param: 'starting_after',
        message: expect.stringContaining(`${last}`),
      });
    }
    client.send({ ...resume, starting_after: last - 1 });
    expect((await client.until(/./)).at(-1)).toMatchObject({ type: 'response.completed' });
  });

  it('tells of a failure, and goes on', async () => {
    agent.script = [text('Hel'), new Error('secret')];
    const last = (await client.response({ input: 'Hallo' })).at(-1);
    expect(last).toMatchObject({ type: 'response.failed', response: { error: { code: 'agent_failed' } } });
    agent.script = [text('Hello'), done];
    expect((await client.response({ input: 'Hallo' })).at(-1).type).toBe('response.completed');
  });

  it('sends every event to a client that reads slowly, in order', async () => {
    const slow = await ResponsesClient.connect(hive);
    const words = Array.from({ length: 5000 }, (_, at) => `word ${at} `);
    agent.script = [...words.map(text), done];
    slow.ws.socket.pause();
    const id = await new Promise<string>((resolve) => {
      const stop = hive.kernel.bus.on('chat:finished', ({ streamId }) => {
        resolve(`resp_${streamId}`);
        void stop();
      });
      slow.create({ input: 'Hallo' });
    });
    slow.ws.socket.resume();
    const last = /^\{"type":"response\.completed"/;
    await new Promise<void>((resolve) => {
      slow.ws.socket.on('message', (data) => last.test(String(data)) && resolve());
    });
    const events: Json[] = slow.ws.frames;
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
    expect(events.at(-1).response).toMatchObject({ id, output: [{ content: [{ text: words.join('') }] }] });
    const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
    expect(deltas.map(({ delta }) => delta)).toEqual(words);
    await slow.close();
  });

  it('ends for a client of another protocol, and for a flood', async () => {
    const stranger = await ResponsesClient.connect(hive);
    for (let count = 0; count < 2; count++) stranger.ws.send('{');
    expect((await stranger.ws.closed).code).toBe(4400);
    const flood = await ResponsesClient.connect(hive);
    for (let count = 0; count < 60; count++) flood.ws.send({ type: 'waggle:cancel' });
    expect((await flood.ws.closed).code).toBe(1008);
  });
});

describe('a connection at /v1/responses', () => {
  it('is asked to connect again at its age, once its response has ended', async () => {
    const hive = await startHive({
      plugins: [plugin],
      config: { 'endpoint-responses': { connectionAgeMs: 50 } },
    });
    agent.script = [text('Hel'), 'wait', done];
    const [idle, busy] = [await ResponsesClient.connect(hive), await ResponsesClient.connect(hive)];
    busy.create({ input: 'Hallo' });
    await busy.until(/delta/);
    const reached = { type: 'error', code: 'websocket_connection_limit_reached' };
    expect((await idle.until(/error/)).at(-1)).toMatchObject(reached);
    expect((await idle.ws.closed).code).toBe(1001);
    agent.release();
    expect((await busy.until(/error/)).slice(-2)).toMatchObject([{ type: 'response.completed' }, reached]);
    await busy.ws.closed;
    await hive.close();
  });

  it('brings its credentials with the upgrade, and keeps within its limits', async () => {
    const users = new TestUsers();
    const hive = await startHive({ plugins: [plugin, accessPlugin(users)] });
    agent.script = [text('Hello'), done];
    await expect(ResponsesClient.connect(hive)).rejects.toThrow('401');
    await expect(ResponsesClient.connect(hive, as('nobody'))).rejects.toThrow('401');
    const ann = await ResponsesClient.connect(hive, as('ann'));
    const bob = await ResponsesClient.connect(hive, as('bob'));
    const { response } = (await ann.response({ input: 'Hallo' })).at(-1);
    expect(agent.requests.at(-1)?.userId).toBe('ann');
    for (const type of ['waggle:resume', 'waggle:cancel']) {
      bob.send({ type, response_id: response.id });
      expect((await bob.until(/error/)).at(-1).code).toBe('response_not_found');
    }
    agent.script = [text('Hello'), done];
    const refused = (await bob.response({ input: 'a', previous_response_id: response.id })).at(-1);
    expect(refused.code).toBe('previous_response_not_found');
    expect((await bob.response({ input: 'a', user: 'ann' })).at(-1)).toMatchObject({ status: 403 });
    await ann.close();
    await bob.close();
    await hive.close();
  });

  it('keeps the response of credentials that have ended, for newer ones', async () => {
    const users = new TestUsers();
    const config = { transport: { authTimeoutMs: 500 } };
    const hive = await startHive({ plugins: [plugin, accessPlugin(users)], config });
    agent.script = [text('Hel'), 'wait', text('lo'), done];
    const expiresAt = Date.now() + 200;
    users.add('short', { id: 'ann', expiresAt });
    const headers = { authorization: 'Bearer short' };
    const [short, idle] = [
      await ResponsesClient.connect(hive, headers),
      await ResponsesClient.connect(hive, headers),
    ];
    short.create({ input: 'Hallo' });
    const [{ response }] = await short.until(/delta/);
    await expect.poll(() => Date.now()).toBeGreaterThan(expiresAt);
    // Its connection is still open, so that a client may bring newer ones elsewhere.
    expect((await idle.response({ input: 'Hallo' })).at(-1)).toMatchObject({ status: 401 });
    expect((await short.ws.closed).code).toBe(4401);
    const ann = await ResponsesClient.connect(hive, as('ann'));
    ann.send({ type: 'waggle:resume', response_id: response.id });
    agent.release();
    expect((await ann.until(/completed/)).at(-1).response.output[0].content[0].text).toBe('Hello');
    await ann.close();
    await hive.close();
  });

  it('ends after its response when the server stops', async () => {
    const hive = await startHive({ plugins: [plugin] });
    agent.script = [text('Hel'), 'wait', text('lo'), done];
    const client = await ResponsesClient.connect(hive);
    client.create({ input: 'Hallo' });
    await client.until(/delta/);
    const stopped = hive.stop();
    agent.release();
    expect((await client.until(/completed/)).at(-1).response.output[0].content[0].text).toBe('Hello');
    expect((await client.ws.closed).code).toBe(1001);
    await stopped;
  });
});
