import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { type RunningServer, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';
import type { RealServer } from './real-server.js';

/** What a model does: `say` ends by itself, `forever` does not. */
export type Role = 'say' | 'forever' | 'think' | 'tool';

/** A kind of model server, and how Waggle is told of it. */
export interface Kind {
  /** One for each role; the same one where it has all models. */
  start(): Promise<Readonly<Record<Role, RealServer>>>;
  /** The plugins that ask them. */
  plugins(servers: Readonly<Record<Role, RealServer>>): Readonly<Record<string, object>>;
  /** Who is asked for a role. */
  readonly asked: Readonly<Record<Role, { readonly agent: string; readonly model: string }>>;
}

export const text = `The quick brown fox jumps over the lazy dog, naïve café — 你好 🐝 end.${Array.from({ length: 200 }, (_, number) => ` w${number}`).join('')}`;
const json = { 'content-type': 'application/json' };
const clock = {
  name: 'current_time',
  parameters: { type: 'object', properties: { zone: { type: 'string' } }, required: ['zone'] },
};
/** A runner that goes on is seen soon; one that stops has at most this much left to do. */
const restLimitMs = 1000;

/** The server that a contract runs against; there once `beforeAll` has run. */
export interface Stage {
  readonly waggle: RunningServer;
  readonly client: WsClient;
  readonly servers: Readonly<Record<Role, RealServer>>;
  post(path: string, body: object, init?: RequestInit): Promise<Response>;
}

/** The promises that hold whichever real model server answers; gives what more of them may use. */
export function answersFrom(
  name: string,
  { start, plugins, asked }: Kind,
  more: (stage: Stage) => void,
): void {
  describe(name, () => {
    let waggle: RunningServer;
    let client: WsClient;
    let servers: Readonly<Record<Role, RealServer>>;
    beforeAll(async () => {
      servers = await start();
      waggle = await startServer({ config: { plugins: plugins(servers) } });
    });
    afterAll(async () => {
      const code = await waggle?.stop();
      for (const server of new Set(Object.values(servers ?? {}))) await server.close();
      expect(code).toBe(0);
    });
    beforeEach(async () => {
      client = await WsClient.connect(`${waggle.ws}/test`);
    });
    afterEach(() => client.close());

    const post = (path: string, body: object, init: RequestInit = {}) =>
      fetch(`${waggle.url}${path}`, { method: 'POST', headers: json, body: JSON.stringify(body), ...init });
    const complete = (role: Role, body: object = {}, init?: RequestInit) => {
      const { agent, model } = asked[role];
      const messages = [{ role: 'user', content: 'Hallo' }];
      return post('/v1/chat/completions', { model: `${agent}/${model}`, messages, ...body }, init);
    };
    const stage: Stage = {
      get waggle() {
        return waggle;
      },
      get client() {
        return client;
      },
      get servers() {
        return servers;
      },
      post,
    };

    it('is listed as healthy, with its models', async () => {
      const { agents } = await (await fetch(`${waggle.url}/agents`)).json();
      for (const { agent, model } of Object.values(asked))
        expect(agents).toContainEqual(
          expect.objectContaining({
            name: agent,
            healthy: true,
            models: expect.arrayContaining([expect.stringContaining(model)]),
          }),
        );
      const { data } = await (await fetch(`${waggle.url}/v1/models`)).json();
      const ids = data.map(({ id }: { readonly id: string }) => id);
      for (const { agent, model } of Object.values(asked))
        expect(ids).toContainEqual(expect.stringMatching(new RegExp(`^${agent}/${model}`)));
    });

    it('over a WebSocket every character comes', async () => {
      const frames = await client.ask({ content: 'Hallo', ...asked.say });
      expect(textOf(frames)).toBe(text);
      expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', reason: 'stop', agent: asked.say.agent });
      expect(frames.at(-1)?.usage).toMatchObject({ outputTokens: expect.any(Number) });
    });

    it('over HTTP every character comes, whole and in pieces', async () => {
      const body = { content: 'Hallo', user_id: 'u', ...asked.say };
      expect(await (await post('/chat', body)).json()).toMatchObject({ response: text });
      const accept = { ...json, accept: 'application/x-ndjson' };
      const lines = (await (await post('/chat/stream', body, { headers: accept })).text()).trim().split('\n');
      expect(textOf(lines.map((line) => JSON.parse(line)))).toBe(text);
    });

    it("in OpenAI's words every character comes, whole and in pieces", async () => {
      const whole = await (await complete('say')).json();
      expect(whole.choices).toMatchObject([{ message: { content: text }, finish_reason: 'stop' }]);
      const events = (await (await complete('say', { stream: true })).text()).trim().split('\n\n');
      expect(events.pop()).toBe('data: [DONE]');
      const pieces = events.map((event) => JSON.parse(event.slice('data: '.length)).choices[0]);
      expect(pieces.map(({ delta }) => delta.content ?? '').join('')).toBe(text);
      expect(pieces.at(-1).finish_reason).toBe('stop');
    });

    it('thinking is told apart from text', async () => {
      const frames = await client.ask({ content: 'Hallo', ...asked.think });
      const thoughts = frames.filter(({ type }) => type === 'streaming_thinking').map((each) => each.content);
      expect(thoughts.join('').trim()).toBe('Let me see what they want');
      expect(textOf(frames).trim()).toBe('Hello, world !!');
    });

    it('a tool is called, by its name and with its arguments', async () => {
      const tools = [{ type: 'function', function: clock }];
      const { choices } = await (await complete('tool', { tools })).json();
      const [{ message, finish_reason: reason }] = choices;
      expect(reason).toBe('tool_calls');
      const [{ function: called }] = message.tool_calls;
      expect(called.name).toBe('current_time');
      expect(JSON.parse(called.arguments)).toEqual({ zone: 'Europe/Oslo' });
    });

    it('the result of a tool is read', async () => {
      const call = {
        id: 'call_1',
        type: 'function',
        function: { name: 'current_time', arguments: '{"zone":"Europe/Oslo"}' },
      };
      const messages = [
        { role: 'user', content: 'What time is it?' },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'call_1', content: '12:00' },
      ];
      const answer = await complete('tool', { messages, tools: [{ type: 'function', function: clock }] });
      expect(answer.status).toBe(200);
    });

    it.each([
      ['stop', { stop: [' fox'] }, 'stop', 'The quick brown'],
      ['length', { maxTokens: 4 }, 'length', 'The quick brown fox'],
    ])('ends at %s', async (_, options, reason, begins) => {
      const frames = await client.ask({ content: 'Hallo', ...asked.say, options });
      expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', reason });
      // Servers differ in whether the last of so many tokens is said.
      expect(text.startsWith(textOf(frames))).toBe(true);
      expect(begins.startsWith(textOf(frames))).toBe(true);
      expect(textOf(frames)).toMatch(/^The quick brown/);
    });

    // Each begins an endless answer, ends it its own way, and resolves when that is done.
    const ends: readonly (readonly [string, () => Promise<void>])[] = [
      [
        'a cancel',
        async () => {
          client.send({ type: 'stream_request', content: 'Hallo', ...asked.forever });
          const { streamId } = await client.until(({ type }) => type === 'streaming_token');
          client.send({ type: 'cancel', streamId });
          expect(await client.end()).toMatchObject({
            type: 'cancelled',
            upstreamClosedMs: expect.any(Number),
          });
        },
      ],
      [
        'a WebSocket that is lost',
        async () => {
          const other = await WsClient.connect(`${waggle.ws}/other`);
          other.send({
            type: 'stream_request',
            content: 'Hallo',
            onDisconnect: 'cancel',
            ...asked.forever,
          });
          await other.until(({ type }) => type === 'streaming_token');
          other.socket.terminate();
        },
      ],
      [
        'a client of /v1 that is gone',
        async () => {
          const abort = new AbortController();
          const { body } = await complete('forever', { stream: true }, { signal: abort.signal });
          await body?.getReader().read();
          abort.abort();
        },
      ],
      [
        'a DELETE',
        async () => {
          const abort = new AbortController();
          const request = { content: 'Hallo', user_id: 'u', ...asked.forever };
          const { body, headers } = await post('/chat/stream', request, { signal: abort.signal });
          await body?.getReader().read();
          const id = headers.get('x-stream-id');
          const { status } = await fetch(`${waggle.url}/chat/stream/${id}`, { method: 'DELETE' });
          expect(status).toBe(200);
          abort.abort();
        },
      ],
    ];
    it.each(ends)('%s lets the processor rest', async (_, end) => {
      const { forever } = servers;
      await end();
      const atEndMs = forever.processorMs;
      expect((await forever.restingMs()) - atEndMs).toBeLessThan(restLimitMs);
    });

    it('killed in the middle of an answer: what came is kept, then one error', async () => {
      const { forever } = servers;
      client.send({ type: 'stream_request', content: 'Hallo', ...asked.forever });
      await client.until(({ type }) => type === 'streaming_token');
      for (const pid of forever.runners) process.kill(pid, 'SIGKILL');
      expect(await client.end()).toMatchObject({ type: 'error', code: expect.stringMatching(/^AGENT_/) });
      expect(client.frames.filter(({ type }) => type === 'error')).toHaveLength(1);
      expect(textOf(client.frames)).not.toBe('');
    });

    it('killed and back: unavailable while it is away, then it answers', async () => {
      const { say } = servers;
      await say.kill();
      const [away] = [...(await client.ask({ content: 'Hallo', ...asked.say }))].reverse();
      expect(away).toMatchObject({ type: 'error', code: 'AGENT_UNAVAILABLE' });
      await say.start();
      await eventually(async () => {
        expect(textOf(await client.ask({ content: 'Hallo', ...asked.say }))).toBe(text);
      });
    });

    it('started again while nothing is asked: the next answer is whole', async () => {
      const { say } = servers;
      for (let turn = 0; turn < 3; turn++) {
        expect(textOf(await client.ask({ content: 'Hallo', ...asked.say }))).toBe(text);
        await say.kill();
        await say.start();
        expect(textOf(await client.ask({ content: 'Hallo', ...asked.say }))).toBe(text);
      }
    });

    more(stage);
  });
}
