import { describe, expect, it } from 'vitest';
import { type EmbedRequest, embedInputLimit } from '#kernel';
import type { UpstreamAgent } from '#sdk/upstream';
import { call } from '../support/agents.js';
import { expectAtOnce, roundTripMs } from '../support/at-once.js';
import { eventually } from '../support/eventually.js';
import { deferred, rejection } from '../support/kernel.js';
import { leakCheck } from '../support/leaks.js';
import {
  type Script,
  type Scripts,
  type ServerSetup,
  startScriptedServer,
} from '../support/scripted-server.js';

type Embedder = UpstreamAgent<unknown> & {
  embed(request: EmbedRequest, agentCall: ReturnType<typeof call>): Promise<unknown>;
};

/** What is special about how an agent asks its model server for embeddings. */
export interface EmbeddingsDialect {
  create(serverUrl: string, options?: object): Embedder;
  readonly path: string;
  /** The body of an answer with these vectors. */
  answer(vectors: unknown, more?: object): object;
  /** The body of a list with these models, the first of which chats and the second makes embeddings. */
  readonly list: object;
}

const json = { 'content-type': 'application/json' };
export const reply = (value: unknown, status = 200): Script => ({
  status,
  headers: json,
  body: JSON.stringify(value),
});

/** An agent of a server that sends this. */
export async function embedder(
  create: EmbeddingsDialect['create'],
  scripts: Scripts,
  { options, ...setup }: ServerSetup & { readonly options?: object } = {},
) {
  const leaks = leakCheck();
  const server = await startScriptedServer(scripts, setup);
  const agent = create(server.url, options);
  return {
    server,
    agent,
    embed: (request: Partial<EmbedRequest> = {}, signal?: AbortSignal) =>
      agent.embed({ input: ['a', 'b'], model: 'm', ...request }, call(signal)),
    async close() {
      agent.close();
      await server.close();
      await leaks.settled();
    },
  };
}

/** Everything that an agent whose model server makes embeddings promises. */
export function embeddingsContract(name: string, { create, path, answer, list }: EmbeddingsDialect): void {
  describe(`${name} and embeddings`, () => {
    const two = [
      [0.25, -1],
      [3e-8, 4],
    ];

    it('passes the texts on, and gives a vector for each', async () => {
      const { embed, server, close } = await embedder(create, reply(answer(two, { model: 'm:1' })));
      const made = await embed({ dimensions: 2 });
      expect(made).toMatchObject({ embeddings: two, model: 'm:1' });
      const [{ body, path: asked, headers } = {} as never] = server.chats;
      expect(asked).toBe(path);
      expect(body).toMatchObject({ model: 'm', input: ['a', 'b'], dimensions: 2 });
      expect(headers['content-type']).toBe('application/json');
      await close();
    });

    it('takes any text, and an empty one', async () => {
      const input = ['', '🐝 "\\\u0000\u2028', 'x'.repeat(100_000)];
      const { embed, server, close } = await embedder(create, reply(answer([[1], [2], [3]])));
      await embed({ input });
      expect(server.chats[0]?.body.input).toEqual(input);
      await close();
    });

    it('without a model it asks the one that makes embeddings', async () => {
      const { embed, server, close } = await embedder(create, reply(answer(two)), { gets: reply(list) });
      await embed({ model: undefined });
      expect(server.chats[0]?.body.model).toBe('embedder');
      await close();
    });

    it('sends the headers of the call', async () => {
      const { agent, server, close } = await embedder(create, reply(answer([[1]])));
      await agent.embed({ input: ['a'], model: 'm' }, { ...call(), headers: { traceparent: 'x' } });
      expect(server.chats[0]?.headers.traceparent).toBe('x');
      await close();
    });

    it('takes up its connection again', async () => {
      const { embed, close } = await embedder(create, reply(answer(two)));
      for (let request = 0; request < 5; request++) await embed();
      await close();
    });

    it('reads an answer of many megabytes', async () => {
      const vector = Array.from({ length: 1024 }, (_, at) => at / 1024 + 0.123456789);
      const input = Array.from({ length: 512 }, (_, at) => `${at}`);
      const { embed, close } = await embedder(create, reply(answer(input.map(() => vector))));
      expect(await embed({ input })).toMatchObject({ embeddings: { length: 512 } });
      await close();
    });

    it.each<[what: string, script: Script, code: string, details?: object]>([
      ['too few vectors', reply(answer([[1]])), 'AGENT_PROTOCOL'],
      ['too many vectors', reply(answer([[1], [2], [3]])), 'AGENT_PROTOCOL'],
      ['no vectors', reply({}), 'AGENT_PROTOCOL'],
      ['null', reply(null), 'AGENT_PROTOCOL'],
      ['an empty vector', reply(answer([[], []])), 'AGENT_PROTOCOL'],
      ['vectors of several lengths', reply(answer([[1], [1, 2]])), 'AGENT_PROTOCOL'],
      ['words', reply(answer([['a'], ['b']])), 'AGENT_PROTOCOL'],
      ['a number that is none', reply(answer([[1], [null]])), 'AGENT_PROTOCOL'],
      ['a vector that is none', reply(answer([[1], null])), 'AGENT_PROTOCOL'],
      ['half an answer', { headers: json, body: '{"em', end: 'end' }, 'AGENT_PROTOCOL'],
      ['a page', { body: '<html>' }, 'AGENT_PROTOCOL'],
      ['a redirect', { status: 302, headers: { location: '/x' } }, 'AGENT_PROTOCOL'],
      ['an error with status 200', reply({ error: 'out of memory' }), 'AGENT_FAILED'],
      ['an error', reply({ error: 'out of memory' }, 500), 'AGENT_FAILED'],
      ['another model', reply({ error: "model 'm' not found" }, 404), 'AGENT_FAILED', { model: 'm' }],
      ['its refusal', reply({ error: 'dimensions: not allowed' }, 400), 'AGENT_FAILED', { refused: 400 }],
      [
        'too long a text',
        reply({ error: 'the input length exceeds the context length' }, 400),
        'CONTEXT_TOO_LONG',
      ],
      ['a full queue', reply({ error: 'server busy' }, 503), 'AGENT_UNAVAILABLE', { busy: 503 }],
      ['a connection that is lost', { headers: json, body: '{"em', end: 'reset' }, 'AGENT_DISCONNECTED'],
    ])('reports %s', async (_, script, code, details = {}) => {
      const { embed, close, server } = await embedder(create, script);
      expect(await rejection(embed())).toMatchObject({ code, details });
      expect(server.chats).toHaveLength(1);
      await close();
    });

    it.each<[what: string, script: Script]>([
      ['has no such endpoint', { status: 404, body: '404 page not found' }],
      ['has no such route', reply({ detail: 'Not Found' }, 404)],
      ['has another method there', { status: 405 }],
      [
        'was started without',
        reply({ error: 'This server does not support embeddings. Start it with `--embeddings`' }, 501),
      ],
      ['says so as a fault', reply({ error: 'this model does not support embeddings' }, 500)],
      [
        'has a model that does not',
        reply({ error: { message: 'The model does not support Embeddings API' } }, 400),
      ],
      [
        'does not allow it',
        reply({ error: { message: 'You are not allowed to generate embeddings from this model' } }, 403),
      ],
    ])('a server that %s lacks embeddings', async (_, script) => {
      const { embed, close } = await embedder(create, script);
      const error = await rejection(embed());
      expect(error).toMatchObject({ code: 'AGENT_FAILED', details: { lacks: 'embeddings', refused: 400 } });
      await close();
    });

    it.each([0, embedInputLimit + 1])('refuses %i texts', async (length) => {
      const { embed, server, close } = await embedder(create, reply(answer([])));
      const input = Array.from({ length }, () => 'a');
      expect(await rejection(embed({ input }))).toMatchObject({ code: 'INVALID_REQUEST' });
      expect(server.requests).toEqual([]);
      await close();
    });

    it('gives up in time, and closes the socket', async () => {
      for (const script of [{ body: deferred<unknown>().promise }, { body: '{"em', end: 'open' }] as const) {
        const { embed, server, close } = await embedder(create, script, {
          options: { firstTokenTimeoutMs: 100 },
        });
        const phase = 'until the embeddings were complete';
        const details = { phase, timeoutMs: 100 };
        expect(await rejection(embed())).toMatchObject({ code: 'AGENT_TIMEOUT', details });
        await server.chats[0]?.closed;
        await close();
      }
    });

    it.each<[when: string, script: Script, gets?: Script]>([
      ['before an answer', { body: deferred<unknown>().promise }],
      ['within an answer', { headers: json, body: '{"em', end: 'open' }],
      ['before the models are known', reply(answer(two)), { body: deferred<unknown>().promise }],
    ])('an abort %s closes the socket and gives its reason', async (_, script, gets) => {
      const { embed, server, close } = await embedder(create, script, {
        gets: ({ path: asked }) => (asked === '/ping' ? {} : (gets ?? {})),
      });
      const base = await roundTripMs(`${server.url}/ping`);
      const abort = new AbortController();
      const answered = rejection(embed(gets ? { model: undefined } : {}, abort.signal));
      await eventually(() => expect(gets ? server.requests.length - 1 : server.chats.length).toBe(1));
      const since = performance.now();
      abort.abort(new Error('not wanted'));
      expect(await answered).toBe(abort.signal.reason);
      await server.requests.at(-1)?.closed;
      expectAtOnce(performance.now() - since, base);
      expect(await rejection(embed({}, abort.signal))).toBe(abort.signal.reason);
      await close();
    });

    it('an unreachable server is left alone for a while', async () => {
      const server = await startScriptedServer();
      await server.close();
      const agent = create(server.url);
      const embed = () => rejection(agent.embed({ input: ['a'], model: 'm' }, call()));
      const first = await embed();
      expect(first).toMatchObject({ code: 'AGENT_UNAVAILABLE', cause: { code: 'ECONNREFUSED' } });
      // Not tried again.
      const second = await embed();
      expect(second).toMatchObject({ code: 'AGENT_UNAVAILABLE', retryAfterMs: expect.any(Number) });
      expect(second.cause).toBeUndefined();
      agent.close();
    });

    it('keeps the secrets of its config to itself', async () => {
      const headers = { 'x-key': 'my-token-of-12-signs' };
      const script = reply({ error: 'bad key my-token-of-12-signs' }, 500);
      const { embed, close } = await embedder(create, script, { options: { headers } });
      expect((await rejection(embed())).message).not.toContain('my-token');
      await close();
    });
  });
}
