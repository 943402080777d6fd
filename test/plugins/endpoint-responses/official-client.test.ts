import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { definePlugin, type StreamChunk } from '#kernel';
import { done, ScriptedAgent, type Step, text } from '../../support/agents.js';
import { type FakeOllama, startFakeOllama } from '../../support/fake-ollama/index.js';
import { type Hive, startHive } from '../../support/hive.js';

type Response = OpenAI.Responses.Response;
type Event = OpenAI.Responses.ResponsesServerEvent;

const city = z.object({ name: z.string(), people: z.number() });
const weather: OpenAI.Responses.FunctionTool = {
  type: 'function',
  name: 'get_weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
  strict: false,
};
const call = (id: string, args: string): StreamChunk => ({
  type: 'tool_call',
  id,
  name: 'get_weather',
  arguments: args,
});
/** Output as input: the client has no type for that. */
const returned = (output: readonly object[]) => output as OpenAI.Responses.ResponseInput;
const model = 'scripted';
const input = 'Hallo';
const hello: readonly Step[] = [text('Hello '), text('there'), done];

const agent = new ScriptedAgent('scripted');
const plugin = definePlugin({ name: 'scripted', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) });
const asked = () => agent.requests.at(-1);

beforeEach(() => {
  agent.script = hello;
  agent.requests.length = 0;
});

async function failure(promise: PromiseLike<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  try {
    await promise;
  } catch (error) {
    return error as InstanceType<typeof OpenAI.APIError>;
  }
  throw new Error('expected a failure');
}

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

const textOf = (events: readonly { readonly type: string }[]) =>
  events
    .map((event) =>
      event.type === 'response.output_text.delta' ? (event as { delta: string } & typeof event).delta : '',
    )
    .join('');

/** Connections to a server that can be cut, as a network does it. */
class Network {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();

  constructor(target: number) {
    this.#server = createServer((near) => {
      const far = connect(target, '127.0.0.1');
      const pair = [near, far] as const;
      this.#pairs.add(pair);
      for (const [from, to] of [pair, [far, near] as const]) {
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
        from.pipe(to);
      }
      near.on('close', () => this.#pairs.delete(pair));
    });
  }

  async listen(): Promise<number> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Iterates over the messages of a connection, response by response. */
class Conversation {
  readonly ws: ResponsesWS;
  readonly #messages: ReturnType<ResponsesWS['stream']>;

  constructor(client: OpenAI, options: ConstructorParameters<typeof ResponsesWS>[1] = {}) {
    this.ws = new ResponsesWS(client, options);
    this.#messages = this.ws.stream();
  }

  create(fields: object): void {
    this.ws.send({ type: 'response.create', model, ...fields } as OpenAI.Responses.ResponsesClientEvent);
  }

  /** What comes next, up to an event of a type or an error. */
  async until(type: RegExp): Promise<readonly Event[]> {
    const events: Event[] = [];
    for (;;) {
      const { value, done: isOver } = await this.#messages.next();
      if (isOver) throw new Error(`closed before ${type}`);
      if (value.type === 'error') {
        if (!value.error.error) throw value.error;
        events.push(value.error.error);
      }
      if (value.type === 'message') events.push(value.message);
      if (events.length > 0 && type.test(events.at(-1)?.type ?? '')) return events;
    }
  }

  async response(fields: object): Promise<Response> {
    this.create(fields);
    const last = (await this.until(/^response\.(completed|failed|incomplete)$|^error$/)).at(-1);
    return (last as unknown as { response: Response }).response;
  }
}

describe.each(['uws', 'node'] as const)(
  'the official client at /v1/responses of transport-%s',
  (transport) => {
    let fake: FakeOllama;
    let hive: Hive;
    let client: OpenAI;
    let network: Network;
    beforeAll(async () => {
      fake = await startFakeOllama();
      hive = await startHive({
        fake,
        transport,
        plugins: [plugin],
        // A model's socket that closes in time was closed for its client, and was not forgotten.
        config: { 'agent-queen': { busyTimeoutMs: 0 }, 'streams-memory': { disconnectGraceMs: 600_000 } },
      });
      network = new Network(Number(new URL(hive.url).port));
      client = new OpenAI({ baseURL: `http://127.0.0.1:${await network.listen()}/v1`, apiKey: 'any' });
    });
    afterAll(async () => {
      await network.close();
      await hive.close();
      await fake.close();
    });

    const modelClosed = (name: string) =>
      fake.waitFor((record) => record.model === name && record.atMs.peerClosed !== undefined);
    const talk = (options?: ConstructorParameters<typeof ResponsesWS>[1]) => {
      const conversation = new Conversation(client, options);
      onTestFinished(() => conversation.ws.close());
      return conversation;
    };

    describe('over HTTP', () => {
      it('gets a whole response', async () => {
        const response = await client.responses.create({ model: 'ollama/normal', input });
        expect(response.output_text).toBe(fake.expectedText('normal'));
        expect(response).toMatchObject({ status: 'completed', usage: { input_tokens: 2 } });
        expect(response._request_id).toBeTruthy();
      });

      it('reads a stream', async () => {
        const events = await all(
          await client.responses.create({ model: 'ollama/normal', input, stream: true }),
        );
        expect(textOf(events)).toBe(fake.expectedText('normal'));
        expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
      });

      it('puts a stream together', async () => {
        const stream = client.responses.stream({ model, input });
        const events = await all(stream);
        const final = await stream.finalResponse();
        expect([final.output_text, final.status, textOf(events)]).toEqual([
          'Hello there',
          'completed',
          'Hello there',
        ]);
        expect(final.id).toBe((events.at(-1) as { response: Response }).response.id);
      });

      it('parses an answer of a shape', async () => {
        agent.script = [text('{"name":"Bonn",'), text('"people":336000}'), done];
        const wanted = { model, input, text: { format: zodTextFormat(city, 'city') } };
        const bonn = { name: 'Bonn', people: 336000 };
        expect((await client.responses.parse(wanted)).output_parsed).toEqual(bonn);
        expect((await client.responses.stream(wanted).finalResponse()).output_parsed).toEqual(bonn);
        expect(asked()?.options).toMatchObject({
          format: { type: 'object', required: ['name', 'people'] },
          formatDetails: { name: 'city', strict: true },
        });
      });

      it.each(['create', 'stream'] as const)('calls tools and returns their results: %s', async (way) => {
        const ask = (items: OpenAI.Responses.ResponseInput) => {
          const body = { model, input: items, tools: [weather] };
          return way === 'create'
            ? client.responses.create(body)
            : client.responses.stream(body).finalResponse();
        };
        agent.script = [call('c1', '{"city":"Köln"}'), call('c2', '{"city":"Bonn"}'), done];
        const turns: OpenAI.Responses.ResponseInput = [{ role: 'user', content: input }];
        const { output }: Response = await ask(turns);
        const calls = output.filter(
          (item): item is OpenAI.Responses.ResponseFunctionToolCall => item.type === 'function_call',
        );
        expect(calls.map(({ call_id, name, arguments: args }) => [call_id, name, args])).toEqual([
          ['c1', 'get_weather', '{"city":"Köln"}'],
          ['c2', 'get_weather', '{"city":"Bonn"}'],
        ]);
        agent.script = hello;
        const results = calls.map(({ call_id }) => ({
          type: 'function_call_output' as const,
          call_id,
          output: `20 °C for ${call_id}`,
        }));
        // With fields that the client has added, such as `parsed_arguments`.
        expect((await ask([...turns, ...returned(output), ...results])).output_text).toBe('Hello there');
        expect(asked()?.messages).toMatchObject([
          { role: 'user' },
          { role: 'assistant', toolCalls: [{ id: 'c1', arguments: '{"city":"Köln"}' }, { id: 'c2' }] },
          { role: 'tool', toolCallId: 'c1', toolName: 'get_weather', content: '20 °C for c1' },
          { role: 'tool', toolCallId: 'c2' },
        ]);
      });

      it.each<[string, OpenAI.Reasoning]>([
        ['as a summary', { summary: 'auto' }],
        ['as it is', { effort: 'high' }],
      ])('gets reasoning %s, and returns it', async (_, reasoning) => {
        const thinking = fake.expectedThinking('thinking');
        const asks = { model: 'ollama/thinking', reasoning };
        const whole = await client.responses.create({ ...asks, input });
        const streamed = await client.responses.stream({ ...asks, input }).finalResponse();
        for (const { output } of [whole, streamed]) {
          const [thought, said] = output;
          if (thought?.type !== 'reasoning' || said?.type !== 'message')
            throw new Error('expected a thought');
          const [part] = reasoning.summary ? thought.summary : (thought.content ?? []);
          expect(part?.text).toBe(thinking);
          expect(said.content[0]).toMatchObject({ text: fake.expectedText('thinking') });
        }
        await client.responses.create({
          ...asks,
          input: [...returned(streamed.output), { role: 'user', content: 'And?' }],
        });
        const { body } = fake.requests.at(-1) as { body: { messages: readonly object[] } };
        expect(body.messages[0]).toMatchObject({ role: 'assistant', thinking });
      });

      it('sends a picture', async () => {
        const image = 'iVBORw0KGgo=';
        const content: OpenAI.Responses.ResponseInputMessageContentList = [
          { type: 'input_text', text: 'What is this?' },
          { type: 'input_image', image_url: `data:image/png;base64,${image}`, detail: 'low' },
        ];
        await client.responses.create({ model: 'ollama/normal', input: [{ role: 'user', content }] });
        const { body } = fake.requests.at(-1) as { body: { messages: readonly object[] } };
        expect(body.messages).toEqual([{ role: 'user', content: 'What is this?', images: [image] }]);
      });

      it('goes on with a response, and lists its input', async () => {
        const first = await client.responses.create({ model, input, instructions: 'Be kind' });
        await client.responses.create({ model, input: 'And?', previous_response_id: first.id });
        expect(asked()?.messages.map(({ content }) => content)).toEqual([input, 'Hello there', 'And?']);
        const four = ['a', 'b', 'c', 'd'].map((content) => ({ role: 'user' as const, content }));
        const { id } = await client.responses.create({ model, input: four });
        // A page of two, and the client fetches the next ones.
        const items = await all(client.responses.inputItems.list(id, { limit: 2, order: 'asc' }));
        expect(items).toMatchObject(
          four.map(({ content }) => ({ content: [{ type: 'input_text', text: content }] })),
        );
      });

      it('reads a response again, whole and from an event on', async () => {
        const events = await all(await client.responses.create({ model, input, stream: true }));
        const { response } = events.at(-1) as { response: Response };
        const { _request_id, output_text, ...again } = await client.responses.retrieve(response.id);
        expect([again, output_text]).toEqual([response, 'Hello there']);
        const rest = await client.responses.retrieve(response.id, { stream: true, starting_after: 3 });
        expect(await all(rest)).toEqual(events.slice(4));
        const put = client.responses.stream({ response_id: response.id, starting_after: 3 });
        expect((await put.finalResponse()).output_text).toBe('Hello there');
      });

      it('lets one run in the background, cancels and deletes it', async () => {
        const name = 'endless?ms=1&background';
        const { id, status } = await client.responses.create({
          model: `ollama/${name}`,
          input,
          background: true,
        });
        expect(status).toBe('in_progress');
        const reading = all(await client.responses.retrieve(id, { stream: true }));
        await fake.waitFor((record) => record.model === name && record.lines > 3);
        expect((await client.responses.cancel(id)).status).toBe('cancelled');
        expect((await modelClosed(name)).endedBy).toBe('peer');
        expect((await reading).at(-1)).toMatchObject({
          type: 'response.incomplete',
          response: { status: 'cancelled' },
        });
        expect((await client.responses.retrieve(id)).status).toBe('cancelled');
        await client.responses.delete(id);
        expect(await failure(client.responses.retrieve(id))).toMatchObject({
          status: 404,
          code: 'response_not_found',
        });
      });

      it('compacts a conversation, and goes on with it', async () => {
        const compacted = await client.responses.compact({
          model,
          input: [{ role: 'user', content: input }],
        });
        expect(compacted.object).toBe('response.compaction');
        await client.responses.create({
          model,
          input: [...returned(compacted.output), { role: 'user', content: 'And?' }],
        });
        expect(asked()?.messages).toMatchObject([
          { role: 'system', content: expect.stringContaining('Hello there') },
          { content: 'And?' },
        ]);
      });

      it.each([
        ['an unknown model', { model: 'nobody' }, OpenAI.NotFoundError, 'model_not_found', 'model'],
        [
          'a model that its server has not',
          { model: 'ollama/nosuch' },
          OpenAI.NotFoundError,
          'model_not_found',
          'model',
        ],
        ['a wrong field', { temperature: 'hot' }, OpenAI.BadRequestError, 'invalid_value', 'temperature'],
        ['no input', { input: undefined }, OpenAI.BadRequestError, 'invalid_value', 'input'],
        [
          'an unknown response',
          { previous_response_id: 'resp_x' },
          OpenAI.BadRequestError,
          'previous_response_not_found',
          'previous_response_id',
        ],
        ['a stored prompt', { prompt: { id: 'pmpt_1' } }, OpenAI.BadRequestError, 'invalid_value', 'prompt'],
        [
          'what its server refuses',
          { model: 'ollama/http-400' },
          OpenAI.BadRequestError,
          'invalid_request',
          null,
        ],
        [
          'a busy server',
          { model: 'ollama/http-503' },
          OpenAI.InternalServerError,
          'agent_unavailable',
          null,
        ],
        [
          'a server that fails',
          { model: 'ollama/error-first' },
          OpenAI.InternalServerError,
          'agent_failed',
          null,
        ],
        [
          'a server that breaks off',
          { model: 'ollama/fin-cut?k=2' },
          OpenAI.InternalServerError,
          'upstream_error',
          null,
        ],
      ])('throws the class of the error for %s', async (_, more, kind, code, param) => {
        const error = await failure(
          client.responses.create({ model, input, ...more } as never, { maxRetries: 0 }),
        );
        expect(error).toBeInstanceOf(kind);
        expect(error).toMatchObject({ code, param });
        expect(error.requestID).toBeTruthy();
      });

      it('gets a failure in the middle of a stream as its last event', async () => {
        const events = await all(
          await client.responses.create({ model: 'ollama/fin-cut?k=2', input, stream: true }),
        );
        expect(events.at(-1)).toMatchObject({
          type: 'response.failed',
          response: { error: { code: 'upstream_error' } },
        });
      });

      it.each(['abort', 'break'])('closes the model’s socket by %s', async (how) => {
        const name = `endless?ms=1&how=${how}&responses`;
        const abort = new AbortController();
        const stream = await client.responses.create(
          { model: `ollama/${name}`, input, stream: true },
          { signal: abort.signal },
        );
        let count = 0;
        for await (const _ of stream) {
          if (++count < 8) continue;
          if (how === 'break') break;
          abort.abort();
        }
        expect((await modelClosed(name)).endedBy).toBe('peer');
      });

      it.each([true, false])('closes it before the first token as well: stream %s', async (stream) => {
        const name = `silent?stream=${stream}&responses`;
        const abort = new AbortController();
        const body = { model: `ollama/${name}`, input, stream };
        const response = failure(client.responses.create(body, { signal: abort.signal }));
        await fake.waitFor((record) => record.model === name);
        abort.abort();
        expect(await response).toBeInstanceOf(OpenAI.APIUserAbortError);
        expect((await modelClosed(name)).endedBy).toBe('peer');
      });
    });

    describe('over a WebSocket', () => {
      it('gets responses one after the other, and remembers those that are not stored', async () => {
        const conversation = talk();
        const first = await conversation.response({ input, store: false });
        const second = await conversation.response({
          input: 'And?',
          store: false,
          previous_response_id: first.id,
        });
        expect(second).toMatchObject({ status: 'completed', previous_response_id: first.id });
        expect(asked()?.messages.map(({ content }) => content)).toEqual([input, 'Hello there', 'And?']);
        expect(await failure(client.responses.retrieve(first.id))).toBeInstanceOf(OpenAI.NotFoundError);
      });

      it('gets every event', async () => {
        const conversation = talk();
        conversation.create({ model: 'ollama/normal', input });
        const events = await conversation.until(/completed/);
        expect(textOf(events)).toBe(fake.expectedText('normal'));
      });

      it('gets errors as events, and goes on', async () => {
        const conversation = talk();
        agent.script = [text('Hel'), 'wait', text('lo'), done];
        conversation.create({ input });
        await conversation.until(/delta/);
        conversation.create({ input });
        expect((await conversation.until(/error/)).at(-1)).toMatchObject({
          type: 'error',
          error: { code: 'response_already_in_flight' },
        });
        agent.release();
        const { response } = (await conversation.until(/completed/)).at(-1) as unknown as {
          response: Response;
        };
        expect(response.status).toBe('completed');
        conversation.create({ input, previous_response_id: 'resp_none' });
        expect((await conversation.until(/error/)).at(-1)).toMatchObject({
          type: 'error',
          error: { code: 'previous_response_not_found', param: 'previous_response_id' },
        });
        agent.script = hello;
        expect((await conversation.response({ input })).status).toBe('completed');
      });

      it('closes the model’s socket when it is closed', async () => {
        const name = 'endless?ms=1&socket';
        const conversation = talk();
        conversation.create({ model: `ollama/${name}`, input });
        await conversation.until(/delta/);
        conversation.ws.close();
        expect((await modelClosed(name)).endedBy).toBe('peer');
      });

      it('comes back after a network was lost, and resumes its response', async () => {
        agent.script = [text('Hel'), text('lo'), 'wait', text(' there'), done];
        const reconnect = { onReconnecting: () => {}, initialDelay: 1 };
        const conversation = talk({ reconnect });
        conversation.create({ input, store: false });
        const before = [...(await conversation.until(/delta/)), ...(await conversation.until(/delta/))];
        const { id } = (before[0] as { response: Response }).response;
        const reconnected = new Promise<void>((resolve) => conversation.ws.once('reconnected', resolve));
        network.cut();
        await reconnected;
        conversation.ws.send({
          type: 'waggle:resume',
          response_id: id,
          starting_after: (before.at(-1) as { sequence_number: number }).sequence_number,
        } as never);
        agent.release();
        const events = [...before, ...(await conversation.until(/completed/))] as {
          sequence_number: number;
          type: string;
        }[];
        expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
        expect(textOf(events)).toBe('Hello there');
        expect(agent.requests).toHaveLength(1);
        // What it resumed can be followed here, too.
        agent.script = hello;
        await conversation.response({ input: 'And?', store: false, previous_response_id: id });
        expect(asked()?.messages).toHaveLength(3);
      });
    });
  },
);

it('comes back by itself when its connection has reached its age', async () => {
  const hive = await startHive({
    plugins: [plugin],
    config: { 'endpoint-responses': { connectionAgeMs: 500 } },
  });
  const conversation = new Conversation(new OpenAI({ baseURL: `${hive.url}/v1`, apiKey: 'any' }), {
    reconnect: { onReconnecting: () => {}, initialDelay: 1 },
  });
  const reconnected = new Promise<void>((resolve) => conversation.ws.once('reconnected', resolve));
  expect((await conversation.until(/error/)).at(-1)).toMatchObject({
    error: { code: 'websocket_connection_limit_reached' },
  });
  await reconnected;
  expect((await conversation.response({ input })).status).toBe('completed');
  conversation.ws.close();
  await hive.close();
});
