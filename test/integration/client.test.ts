import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import {
  type Chunk,
  type ClientState,
  connect,
  type WaggleClient,
} from '../../plugins/endpoint-ws/client/index.js';
import { type RunningServer, startServer } from '../support/server.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Thinks, calls a tool, and tells how often it was asked; one character at a time, so that emoji are cut in two. */
const story = `import { BaseAgent, definePlugin } from 'waggle-server';
import { setTimeout as sleep } from 'node:timers/promises';

let calls = 0;
class Story extends BaseAgent {
  name = 'story';
  async *generateResponseStream({ messages }, { signal }) {
    const text = 'call ' + ++calls + ': 🐝 ' + messages.at(-1).content.repeat(20) + ' 🌻';
    for (const content of ['hm ', '🤔 ', 'so ']) {
      yield { type: 'thinking', content };
      await sleep(1, undefined, { signal });
    }
    yield { type: 'tool_call', id: 't1', name: 'clock', arguments: {} };
    for (let at = 0; at < text.length; at++) {
      yield { type: 'text', content: text[at] };
      await sleep(1, undefined, { signal });
    }
    // For those who cancel it, however late their word comes.
    if (messages.at(-1).content === 'go on for ever') await sleep(600_000, undefined, { signal });
    yield { type: 'done', reason: 'stop' };
  }
}
export default definePlugin({ name: 'agent-story', apiVersion: 1, setup: (ctx) => ctx.addAgent(new Story()) });
`;

describe.each(['uws', 'node'] as const)('over transport-%s', (transport) => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ transport, files: { 'extensions/agent-story.js': story } });
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  const clients: WaggleClient[] = [];
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });

  let users = 0;
  async function open(options: { user?: string; onState?: (state: ClientState) => void } = {}) {
    const { user = `user${users++}`, onState } = options;
    let socket: WebSocket | undefined;
    const requests: string[] = [];
    class Cuttable extends WebSocket {
      constructor(url: string) {
        super(url);
        socket = this;
      }
      override send(text: string): void {
        if (!text.includes('"ping"')) requests.push(text);
        super.send(text);
      }
    }
    const client = await connect(`${server.ws}/${user}`, {
      WebSocket: Cuttable,
      reconnect: { baseMs: 0 },
      onState,
    });
    clients.push(client);
    return { client, user, cut: () => socket?.terminate(), sent: () => requests };
  }

  const told = (question: string) =>
    expect.stringMatching(new RegExp(`^call \\d+: 🐝 ${question.repeat(20)} 🌻$`));

  describe('the client, with a real server,', () => {
    it('asks and is answered', async () => {
      const { client } = await open();
      const reply = client.chat('Hallo');
      const chunks: Chunk[] = [];
      for await (const chunk of reply) chunks.push(chunk);
      expect(chunks.length).toBeGreaterThan(1);
      const text = chunks.map((chunk) => (chunk.type === 'text' ? chunk.content : '')).join('');
      expect(await reply.result).toMatchObject({
        text,
        agent: 'eliza',
        reason: 'stop',
        usage: { inputTokens: expect.any(Number), outputTokens: expect.any(Number) },
        timings: { queuedMs: expect.any(Number), totalMs: expect.any(Number) },
      });
    });

    it('keeps replies whole while their connection is lost again and again', async () => {
      const { client, cut } = await open();
      const questions = ['a', 'bc', 'def', 'ghij'];
      const answers = Promise.all(
        questions.map(async (question, index) => {
          const reply = client.chat(question, { agent: 'story' });
          let received = 0;
          for await (const chunk of reply) {
            if ('content' in chunk) expect(chunk.content).not.toMatch(/\p{Cs}/u);
            if (++received % 9 === index) cut();
          }
          return reply.result;
        }),
      );
      for (const [index, answer] of (await answers).entries())
        expect(answer).toMatchObject({
          text: told(questions[index] as string),
          thinking: 'hm 🤔 so ',
          toolCalls: [{ type: 'tool_call', id: 't1', name: 'clock', arguments: {} }],
          reason: 'stop',
        });
    });

    it('has one generation for a request whose answer was lost', async () => {
      const { client, cut } = await open();
      const before = await client.ask('x', { agent: 'story' });
      const answer = client.ask('x', { agent: 'story' });
      cut();
      const calls = ({ text }: { text: string }) => Number(/\d+/.exec(text)?.[0]);
      expect(calls(await answer)).toBe(calls(before) + 1);
      expect(calls(await client.ask('x', { agent: 'story' }))).toBe(calls(before) + 2);
    });

    it('cancels, and is told how long the model took to stop', async () => {
      const { client } = await open();
      const reply = client.chat('go on for ever', { agent: 'story' });
      await reply.next();
      expect(await reply.cancel()).toEqual({
        reason: 'client',
        upstreamClosedMs: expect.any(Number),
        stopped: expect.anything(),
      });
      expect(await reply.result).toMatchObject({ reason: 'cancelled' });
    });

    it('cancels by leaving the loop', async () => {
      const { client, user } = await open();
      const reply = client.chat('go on for ever', { agent: 'story' });
      for await (const chunk of reply) if (chunk.type === 'text') break;
      const cancelled = (line: Readonly<Record<string, unknown>>) =>
        line.msg === 'reply cancelled' && line.userId === user;
      expect(await server.untilLog(cancelled)).toMatchObject({ reason: 'client' });
    });

    it('takes up a reply of another client', async () => {
      const { client: first } = await open();
      const started = first.chat('x', { agent: 'story' });
      while (started.position < 12) await started.next();
      const { position, text: head } = started;
      await first.close();
      const { client: second } = await open();
      const { text: tail } = await second.resume(started.streamId ?? '', { position }).result;
      expect(head + tail).toEqual(told('x'));
    });

    it('hears of what the server refuses', async () => {
      const { client } = await open();
      await expect(client.ask('x', { agent: 'nobody' })).rejects.toMatchObject({ code: 'AGENT_UNKNOWN' });
      await expect(client.ask('')).rejects.toMatchObject({ code: 'INVALID_FRAME' });
      await expect(client.resume('unknown').result).rejects.toMatchObject({ code: 'STREAM_GONE' });
      const { streamId, text } = await client.ask('x', { agent: 'story' });
      await expect(
        client.resume(streamId ?? '', { position: text.length + 99 }).result,
      ).rejects.toMatchObject({
        code: 'INVALID_REQUEST',
      });
    });

    it('does not fight over its id', async () => {
      const { client: older, user } = await open();
      const answer = older.ask('x', { agent: 'story' });
      const { client: newer } = await open({ user });
      await expect(answer).rejects.toMatchObject({ code: 'CONNECTION_LOST', closeCode: 4409 });
      expect(older.state).toBe('closed');
      expect(await newer.ask('x', { agent: 'story' })).toMatchObject({ text: told('x') });
    });

    it('lets its process end once it is closed', async () => {
      const code = `import { connect } from 'waggle-server/client';
import WebSocket from 'ws';
const client = await connect('${server.ws}/script', { WebSocket });
for await (const chunk of client.chat('Hallo')) process.stdout.write(chunk.content);
await client.close();`;
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
        cwd: root,
        timeout: 15_000,
      });
      expect(stdout).toMatch(/\S+ \S+/);
    });
  });

  describe('a request that the server refuses', () => {
    const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);
    const circle: unknown[] = [];
    circle.push(circle);
    const long = (bytes: number) => 'x'.repeat(bytes);
    it.each<[string, (client: WaggleClient) => Promise<unknown>, object]>([
      ['a task 33 levels deep', (client) => client.task('x', deep(32)), { code: 'TOO_DEEP' }],
      ['a task of 70 KB', (client) => client.task('x', long(70_000)), { code: 'TOO_LARGE' }],
      ['a question of 70 KB', (client) => client.ask(long(70_000)), { code: 'TOO_LARGE' }],
      ['a question of 200 KB', (client) => client.ask(long(200_000)), { code: 'TOO_LARGE' }],
      ['an empty question', (client) => client.ask(''), { code: 'INVALID_FRAME' }],
      [
        'seventeen stops',
        (client) => client.ask('x', { options: { stop: Array(17).fill('x') } }),
        { code: 'INVALID_FRAME' },
      ],
      ['an unknown task', (client) => client.task('nosuch', 1), { code: 'TASK_UNKNOWN' }],
      ['what JSON cannot say', (client) => client.task('x', 1n), { name: 'TypeError' }],
      ['a circle', (client) => client.task('x', circle), { name: 'TypeError' }],
    ])('tells its caller at once, and nobody else: %s', async (_, ask, error) => {
      const { client, sent } = await open();
      const other = client.ask('Hallo', { agent: 'eliza' });
      const failure = await ask(client).then(
        () => expect.unreachable('it was not refused'),
        (reason) => reason,
      );
      expect(failure).toMatchObject(error);
      expect((await other).reason).toBe('stop');
      expect(client.state).toBe('open');
      expect(sent()).toHaveLength(failure.name === 'TypeError' ? 1 : 2);
    });

    it('beyond every limit is not sent again', async () => {
      const { client } = await open();
      const failure = await client.ask(long(600_000)).catch((reason) => reason);
      expect(['TOO_LARGE', 'CONNECTION_LOST']).toContain(failure.code);
    });

    it('by its id is not sent at all', async () => {
      const { client, sent } = await open();
      expect(() => client.chat('x', { requestId: long(129) })).toThrow('at most 128 characters');
      expect(sent()).toEqual([]);
    });
  });

  describe('a server that stops', () => {
    it('lets a running reply end; the client has it whole, and looks for the next server', async () => {
      const stopping = await startServer({ transport, files: { 'extensions/agent-story.js': story } });
      const states: ClientState[] = [];
      const client = await connect(`${stopping.ws}/me`, {
        WebSocket,
        reconnect: { attempts: 2, baseMs: 1 },
        onState: (state) => states.push(state),
      });
      const reply = client.chat('x', { agent: 'story' });
      await reply.next();
      const stopped = stopping.stop();
      expect(await reply.result).toMatchObject({ text: told('x'), reason: 'stop' });
      expect(await stopped).toBe(0);
      await expect.poll(() => states).toEqual(['open', 'draining', 'reconnecting', 'closed']);
      await client.close();
    });
  });
});
