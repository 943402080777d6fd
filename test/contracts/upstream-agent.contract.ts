import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { chunksOf } from '#sdk';
import type { UpstreamAgent, UpstreamTimeouts } from '#sdk/upstream';
import { agentCall } from '../support/agents.js';
import { expectAtOnce, roundTripMs } from '../support/at-once.js';
import { eventually } from '../support/eventually.js';
import {
  type FakeOllama,
  type FakeOllamaOptions,
  type RequestRecord,
  startFakeOllama,
} from '../support/fake-ollama/index.js';
import { startHttpServer } from '../support/http-server.js';
import { deferred, silentLogger as logger } from '../support/kernel.js';
import { leakCheck } from '../support/leaks.js';
import { hello, wholeAnswer } from '../support/whole-answer.js';
import { agentContract } from './agent.contract.js';

type Options = Partial<UpstreamTimeouts> & { readonly model?: string };

/** What is special about how an agent talks to its model server. */
export interface Dialect {
  /** An agent of the server at this address. It may have the key `sk-very-secret`. */
  create(serverUrl: string, options: Options): UpstreamAgent<unknown>;
  readonly chatPath: string;
  readonly listPath: string;
  /** What its health says to do when nothing listens, and when there is no model. */
  readonly advice: string;
  readonly noModel: string;
  /** Modes of the fake that this dialect reads to their end, and ones that it does not, with the code. */
  readonly alsoWhole: readonly string[];
  readonly alsoFailing: readonly (readonly [mode: string, code: string])[];
  /** The body of an answer, from its first byte to what says that it is over. */
  readonly answer: string;
}

/** The body of a list of models, for whichever dialect asks. */
const listed = JSON.stringify({ models: [{ name: 'm' }], data: [{ id: 'm' }] });

/** From now on every list of models is old. */
function ageLists(): void {
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 31_000);
}

/** Everything that an agent of an HTTP model server promises, for each that extends `UpstreamAgent`. */
export function upstreamAgentContract(name: string, dialect: Dialect): void {
  const { create, chatPath, listPath } = dialect;

  agentContract(name, async () => {
    const fake = await startFakeOllama();
    const agent = create(fake.url, {});
    return {
      agent,
      request: hello('llama3.2'),
      slowRequest: hello('slow-tokens?ms=20&n=1000'),
      dispose: async () => {
        agent.close();
        await fake.close();
      },
    };
  });

  describe(`${name} and its model server`, () => {
    let fake: FakeOllama;
    let agent: UpstreamAgent<unknown>;

    const stop = async () => {
      agent.close();
      await fake.close();
    };
    const start = async (options: Options = {}, fakeOptions: FakeOllamaOptions = {}) => {
      fake = await startFakeOllama(fakeOptions);
      agent = create(fake.url, options);
    };
    const restart = async (options: Options, fakeOptions: FakeOllamaOptions = {}) => {
      await stop();
      await start(options, fakeOptions);
    };
    beforeEach(() => start());
    afterEach(async () => {
      vi.restoreAllMocks();
      await stop();
    });

    const answer = (model?: string, signal?: AbortSignal) => wholeAnswer(agent, hello(model), signal);
    /** The same for a reader that lets the server come so far before it pulls again. */
    const answerToBusy = (model: string, isReady: (record: RequestRecord) => boolean) =>
      wholeAnswer(agent, hello(model), undefined, () => fake.waitFor(isReady));
    const chats = () => fake.requests.filter(({ path }) => path === chatPath);
    const lists = () => fake.requests.filter(({ path }) => path === listPath);

    it.each([
      'normal',
      'bytewise',
      'bytewise?split=emoji',
      'burst',
      'no-last-newline',
      'escapes',
      'thinking',
      'done-text',
      'early-headers?t=5',
      'slow-headers?t=5',
      'odd-lines?kind=blank',
      'odd-lines?kind=crlf',
      ...dialect.alsoWhole,
    ])('passes on every character of %s', async (model) => {
      const { text, thinking, last, error } = await answer(model);
      expect(error).toBeUndefined();
      expect(text).toBe(fake.expectedText(model));
      expect(thinking).toBe(model === 'thinking' ? fake.expectedThinking(model) : '');
      expect(last).toMatchObject({ type: 'done', reason: 'stop' });
    });

    it('takes a piece of half a megabyte', async () => {
      const { text, error } = await answer('huge-line?bytes=500000&whole=1');
      expect(error).toBeUndefined();
      expect(text.length).toBeGreaterThan(499_000);
    });

    it('gives what came in one read as one array', async () => {
      const { sizes } = await answer('burst?n=1000');
      expect(sizes.reduce((sum, size) => sum + size)).toBe(1001);
      expect(sizes.length).toBeLessThan(100);
    });

    it('gives what came while its reader was busy as one array', async () => {
      const { sizes } = await answerToBusy('slow-tokens?ms=2&n=100', (record) => record.finished);
      expect(sizes.reduce((sum, size) => sum + size)).toBe(101);
      expect(sizes.length).toBeLessThan(50);
    });

    it('says why the model stopped, and what it used', async () => {
      expect((await answer('length')).last).toMatchObject({ type: 'done', reason: 'length' });
      const { last } = await answer('normal?n=7');
      expect(last?.type === 'done' && last.usage?.outputTokens).toBe(7);
    });

    it.each(['tool-early', 'tool-early?calls=2', 'tool-late', 'tool-late?id=0'])(
      'passes the tool calls of %s on, each of them whole',
      async (model) => {
        const { chunks, last, error } = await answer(model);
        expect(error).toBeUndefined();
        const calls = chunks.filter((chunk) => chunk.type === 'tool_call');
        expect(calls).toHaveLength(model.includes('calls=2') ? 2 : 1);
        for (const call of calls)
          expect(call).toEqual({
            type: 'tool_call',
            id: expect.stringMatching(/^call_/),
            name: 'get_weather',
            arguments: '{"city":"Rome"}',
          });
        expect(last).toMatchObject({ type: 'done', reason: 'tool_calls' });
      },
    );

    it.each<readonly [mode: string, code: string]>([
      ['no-done', 'AGENT_DISCONNECTED'],
      ['no-done?k=0', 'AGENT_DISCONNECTED'],
      ['reset', 'AGENT_DISCONNECTED'],
      ['reset?mid=1', 'AGENT_DISCONNECTED'],
      ['fin-cut', 'AGENT_DISCONNECTED'],
      ['malformed', 'AGENT_PROTOCOL'],
      ['bad-utf8', 'AGENT_PROTOCOL'],
      ['odd-lines?kind=null', 'AGENT_PROTOCOL'],
      ['odd-lines?kind=array', 'AGENT_PROTOCOL'],
      ['odd-lines?kind=number', 'AGENT_PROTOCOL'],
      ['huge-line?bytes=3000000', 'AGENT_PROTOCOL'],
      ['html-200', 'AGENT_PROTOCOL'],
      ['redirect', 'AGENT_PROTOCOL'],
      ['not-http', 'AGENT_PROTOCOL'],
      ['error-line', 'AGENT_FAILED'],
      ['error-line?object=1', 'AGENT_FAILED'],
      ['error-first', 'AGENT_FAILED'],
      ['http-400', 'AGENT_FAILED'],
      ['http-404', 'AGENT_FAILED'],
      ['no-such-model', 'AGENT_FAILED'],
      ['http-502-html', 'AGENT_FAILED'],
      ['http-403-empty', 'AGENT_FAILED'],
      ['http-401-ndjson', 'AGENT_FAILED'],
      ['http-429', 'AGENT_UNAVAILABLE'],
      ['http-503', 'AGENT_UNAVAILABLE'],
      ...dialect.alsoFailing,
    ])('reports %s as %s, once asked, with no made-up end and nothing printed', async (model, code) => {
      const { chunks, text, error } = await answer(model);
      expect(error).toMatchObject({ code });
      expect(chunks.some((chunk) => chunk.type === 'done')).toBe(false);
      expect(fake.expectedText(model).startsWith(text)).toBe(true);
      expect(String((error as Error).message)).not.toMatch(/<|127\.0\.0\.1|\bat \/|secret/);
      expect(fake.requests).toHaveLength(1);
    });

    it('keeps the tokens that came before a broken piece', async () => {
      const before = fake.expectedTokens('malformed?k=9').slice(0, 9).join('');
      expect((await answer('malformed?k=9')).text).toBe(before);
      // Here they come in the same read.
      const { text, error } = await answerToBusy('malformed?k=9', (record) => record.finished);
      expect(text).toBe(before);
      expect(error).toMatchObject({ code: 'AGENT_PROTOCOL' });
    });

    it('says which model there is not', async () => {
      expect((await answer('no-such-model')).error).toMatchObject({ details: { model: 'no-such-model' } });
    });

    it.each([
      ['silent', 'until the first token'],
      ['early-headers?t=60000', 'until the first token'],
      ['stall?k=3', 'between two tokens'],
    ])('gives up on %s in time and closes its socket', async (model, phase) => {
      await restart({ firstTokenTimeoutMs: 100, tokenTimeoutMs: 100 });
      const { error } = await answer(model);
      expect(error).toMatchObject({ code: 'AGENT_TIMEOUT', details: { phase } });
      const record = await fake.waitFor((each) => each.atMs.peerClosed !== undefined);
      expect(record.endedBy).toBe('peer');
    });

    it('is not hurried by a reader that takes its time', async () => {
      await restart({ tokenTimeoutMs: 1000 });
      const model = 'slow-tokens?ms=50&n=40';
      const { signal } = new AbortController();
      let text = '';
      let batches = 0;
      for await (const batch of agent.generateResponseStream(hello(model), agentCall({ signal, logger }))) {
        for (const chunk of chunksOf(batch)) if (chunk.type === 'text') text += chunk.content;
        // Longer than the model may take, and while it has more to say.
        if (++batches === 3) await new Promise((resolve) => setTimeout(resolve, 1200));
      }
      expect(text).toBe(fake.expectedText(model));
    });

    it.each(['silent', 'slow-headers?t=60000', 'stall?k=2', 'endless'])(
      'closes the socket of %s before an aborted call ends',
      async (model) => {
        const abort = new AbortController();
        const asked = fake.waitFor((record) => record.mode !== undefined);
        const answered = answer(model, abort.signal);
        await asked;
        const base = await roundTripMs(`${fake.url}/api/version`);
        const abortedAt = performance.now();
        abort.abort(new Error('nobody listens any more'));
        // As the contract wants it: who has asked for the end gets the reason back.
        expect((await answered).error).toBe(abort.signal.reason);
        const record = await fake.waitFor((each) => each.atMs.peerClosed !== undefined);
        expectAtOnce((record.atMs.peerClosed ?? Infinity) - abortedAt, base);
        expect(record.endedBy).toBe('peer');
      },
    );

    it('closes the socket when its reader leaves in the middle', async () => {
      const { signal } = new AbortController();
      for await (const _ of agent.generateResponseStream(hello('endless'), agentCall({ signal, logger })))
        break;
      const record = await fake.waitFor((each) => each.atMs.peerClosed !== undefined);
      expect(record.endedBy).toBe('peer');
    });

    it('stops one of two streams and leaves the other alone', async () => {
      const abort = new AbortController();
      const one = answer('slow-tokens?ms=10&n=1000', abort.signal);
      const two = answer('slow-tokens?ms=5&n=20');
      await fake.waitFor((record) => record.mode !== undefined && fake.requests.length >= 2);
      abort.abort();
      expect((await one).error).toBeDefined();
      expect((await two).text).toBe(fake.expectedText('slow-tokens?ms=5&n=20'));
    });

    it('takes its connection up again for the next request', async () => {
      for (let request = 0; request < 6; request++) await answer('normal');
      // A connection is free one turn after its answer, so two take turns.
      expect(new Set(fake.requests.map((record) => record.connection)).size).toBeLessThanOrEqual(2);
    });

    it('reads nothing after the end, and keeps the connection when the body ends a little later', async () => {
      const responses: ServerResponse[] = [];
      const sockets = new Set<unknown>();
      const server = await startHttpServer((request, response) => {
        request.resume();
        responses.push(response);
        sockets.add(request.socket);
        response.write(dialect.answer + dialect.answer);
      });
      const one = create(server.url, {});
      for (let request = 0; request < 3; request++) {
        const end = () => setImmediate(() => responses.at(-1)?.end(dialect.answer));
        const { chunks } = await wholeAnswer(one, hello('m'), undefined, end);
        expect(chunks.map(({ type }) => type)).toEqual(['text', 'done']);
      }
      expect(sockets.size).toBeLessThanOrEqual(2);
      one.close();
      await server.close();
    });

    it('asks once more when an idle connection had died, and answers', async () => {
      await answer('normal');
      const { text, error } = await answer('stale-keepalive');
      expect(error).toBeUndefined();
      expect(text).toBe(fake.expectedText('stale-keepalive'));
    });

    it('ends once after the end, whatever follows', async () => {
      for (const model of ['done-open', 'done-open?more=3', 'done-open?junk=1']) {
        const { text, error, chunks } = await answer(model);
        expect(error).toBeUndefined();
        expect(text).toBe(fake.expectedText(model));
        expect(chunks.filter((chunk) => chunk.type === 'done')).toHaveLength(1);
      }
      agent.close();
      await fake.waitForOpenSockets(0);
    });

    it('says that nothing listens', async () => {
      await fake.close();
      expect((await answer('llama3.2')).error).toMatchObject({ code: 'AGENT_UNAVAILABLE' });
      const health = await agent.health(new AbortController().signal);
      expect(health).toMatchObject({ healthy: false, detail: expect.stringContaining(dialect.advice) });
    });

    it('is healthy with a model, and not without', async () => {
      const { signal } = new AbortController();
      expect(await agent.health(signal)).toMatchObject({
        healthy: true,
        models: expect.arrayContaining(['gemma2:2b']),
      });
      await restart({}, { models: [] });
      expect(await agent.health(signal)).toMatchObject({
        healthy: false,
        detail: expect.stringContaining(dialect.noModel),
      });
      expect((await answer()).error).toMatchObject({
        code: 'AGENT_UNAVAILABLE',
        message: expect.stringContaining(dialect.noModel),
      });
    });

    it.each([
      [{ model: 'gemma2:2b' }, 'gemma2:2b'],
      [{}, 'llama3.2:latest'],
    ])('with %j it asks %s when the request names no model, and lists them once', async (options, model) => {
      await restart(options);
      await answer();
      await answer();
      expect(chats().map((record) => record.model)).toEqual([model, model]);
      expect(lists().length).toBeLessThanOrEqual(1);
    });

    it('takes the model of an old list at once, and asks for a new list meanwhile', async () => {
      await restart({}, { models: ['old', 'new'] });
      await answer();
      const { port } = fake;
      await fake.close();
      fake = await startFakeOllama({ port, models: ['new'] });
      ageLists();
      expect((await answer()).error).toMatchObject({ code: 'AGENT_FAILED' });
      expect(chats().map((record) => record.model)).toEqual(['old:latest']);
      await eventually(async () => expect((await answer()).error).toBeUndefined());
      expect(chats().at(-1)?.model).toBe('new:latest');
      expect(lists()).toHaveLength(1);
    });

    it('asks for no list once it is closed', async () => {
      let count = 0;
      const server = await startHttpServer((request, response) => {
        request.resume();
        if (request.url !== listPath) response.writeHead(503).end();
        else response.end(listed, () => count++);
      });
      const one = create(server.url, {});
      await wholeAnswer(one, hello());
      ageLists();
      const last = wholeAnswer(one, hello());
      one.close();
      await last;
      await wholeAnswer(one, hello());
      expect(count).toBe(1);
      one.close();
      await server.close();
    });

    it.each(['it is closed', 'the time for it is over'])(
      'ends a list that does not come when %s',
      async (end) => {
        const leaks = leakCheck();
        const held = deferred<ServerResponse>();
        let count = 0;
        const server = await startHttpServer((request, response) => {
          request.resume();
          if (request.url !== listPath) response.writeHead(503).end();
          else if (++count === 1) response.end(listed);
          else held.resolve(response);
        });
        const one = create(server.url, end === 'it is closed' ? {} : { connectTimeoutMs: 100 });
        await wholeAnswer(one, hello());
        ageLists();
        expect((await wholeAnswer(one, hello())).error).toMatchObject({ code: 'AGENT_UNAVAILABLE' });
        const response = await held.promise;
        const closed = once(response, 'close');
        if (end === 'it is closed') one.close();
        await closed;
        expect(response.writableFinished).toBe(false);
        one.close();
        await server.close();
        await leaks.settled();
      },
    );
  });
}
