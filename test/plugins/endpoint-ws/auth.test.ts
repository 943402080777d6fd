import { afterEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { Access, type Agent, definePlugin } from '#kernel';
import { connect } from '../../../plugins/endpoint-ws/client/index.js';
import { accessPlugin, as, TestUsers } from '../../support/access.js';
import { done, text } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';
import { type Frame, textOf, WsClient } from '../../support/ws-client.js';

const words = Array.from({ length: 400 }, (_, index) => `word${index} `);

/** Says one word after the other, one each time that it is told to. */
class Clocked implements Agent {
  readonly name = 'clocked';
  #next: (() => void) | undefined;
  #due = 0;

  tick(count: number): void {
    this.#due += count;
    this.#next?.();
  }

  async *generateResponseStream() {
    for (const word of words) {
      while (this.#due === 0)
        await new Promise<void>((resolve) => {
          this.#next = resolve;
        });
      this.#due--;
      yield text(word);
    }
    yield done;
  }
}

describe('credentials on an open connection', () => {
  let hive: Hive;
  const clients: WsClient[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.terminate();
    await hive.stop();
  });

  const start = async (users: TestUsers | undefined, authTimeoutMs = 100) => {
    const clocked = new Clocked();
    const fixture = definePlugin({
      name: 'fixture',
      apiVersion: 1,
      setup: (ctx) => void ctx.addAgent(clocked),
    });
    hive = await startHive({
      config: { 'agent-queen': { candidates: ['clocked'] }, transport: { authTimeoutMs } },
      plugins: [fixture, ...(users ? [accessPlugin(users)] : [])],
    });
    const open = async (path: string, headers = {}) => {
      const client = await WsClient.connect(`${hive.ws}/${path}`, { headers });
      clients.push(client);
      return client;
    };
    return { clocked, open };
  };
  const typed = (type: string) => (frame: Frame) => frame.type === type;
  const auth = (token: string) => ({ type: 'auth', token });

  it('are refreshed while a stream runs, which loses no character', async () => {
    const endsAt = Date.now() + 1500;
    const users = new TestUsers({
      first: { id: 'ann', expiresAt: endsAt },
      second: { id: 'ann', scopes: ['x'], expiresAt: endsAt + 600_000 },
    });
    const { clocked, open } = await start(users);
    const client = await open('a');
    client.send(auth('first'));
    expect(await client.until(typed('auth_ok'))).toEqual({
      type: 'auth_ok',
      userId: 'ann',
      scopes: [],
      expiresAt: endsAt,
    });
    client.send({ type: 'stream_request', content: 'Hi' });
    clocked.tick(100);
    expect(await client.until(typed('auth_expiring'))).toEqual({ type: 'auth_expiring', expiresAt: endsAt });
    client.send(auth('second'));
    clocked.tick(100);
    await client.until((frame) => frame.type === 'auth_ok' && frame.expiresAt !== endsAt);
    await expect.poll(() => Date.now() > endsAt + 1500, { timeout: 10_000 }).toBe(true);
    clocked.tick(200);
    await client.until(typed('streaming_end'));
    expect(textOf(client.frames)).toBe(words.join(''));
  });

  it('close it with 4401 when they have ended; the stream can be resumed with newer ones', async () => {
    const endsAt = Date.now() + 300;
    const users = new TestUsers({ first: { id: 'ann', expiresAt: endsAt }, second: { id: 'ann' } });
    const { clocked, open } = await start(users, 2000);
    const client = await open('a', { 'x-api-key': 'first' });
    client.send({ type: 'stream_request', content: 'Hi' });
    clocked.tick(100);
    const { streamId } = await client.until(typed('streaming_start'));
    await expect.poll(() => Date.now() > endsAt).toBe(true);
    client.send({ type: 'stream_request', content: 'more', requestId: 'late' });
    expect(await client.end('late')).toMatchObject({ type: 'error', code: 'UNAUTHORIZED' });
    expect((await client.closed).code).toBe(4401);
    const had = textOf(client.frames);
    const again = await open('a', { 'x-api-key': 'second' });
    again.send({ type: 'resume', streamId, position: had.length });
    clocked.tick(300);
    await again.until(typed('streaming_end'));
    expect(had + textOf(again.frames)).toBe(words.join(''));
  });

  it.each([
    ['another user', 'token-of-bob', 4403],
    ['nobody', 'nobody', 4401],
  ])('of %s close it', async (_name, token, code) => {
    const { open } = await start(new TestUsers());
    const client = await open('a', as('ann'));
    client.send(auth(token));
    expect((await client.closed).code).toBe(code);
    expect(client.frames.filter(typed('auth_ok'))).toEqual([]);
  });

  it('keep the connections of two users apart, whatever ids they choose', async () => {
    const { open } = await start(new TestUsers());
    const ann = await open('same', as('ann'));
    const bob = await open('same', as('bob'));
    for (const client of [ann, bob]) {
      client.send({ type: 'ping' });
      await client.until(typed('pong'));
    }
    const newer = await open('same', as('ann'));
    expect((await ann.closed).code).toBe(4409);
    for (const client of [newer, bob]) {
      client.send({ type: 'ping' });
      await client.until((frame) => frame.type === 'pong');
    }
  });

  it('are welcome in an open server, too', async () => {
    const { open } = await start(undefined);
    const client = await open('ann');
    client.send(auth('anything'));
    expect(await client.until(typed('auth_ok'))).toEqual({ type: 'auth_ok', userId: 'ann', scopes: [] });
  });

  it('are sent by the typed client for each connection, and before they expire', async () => {
    const users = new TestUsers({
      first: { id: 'ann', expiresAt: Date.now() + 1200 },
      second: { id: 'ann' },
    });
    const { clocked } = await start(users);
    const tokens = ['first', 'second', 'second'];
    const given: string[] = [];
    const token = async () => {
      given.push(tokens[given.length] as string);
      return given.at(-1) as string;
    };
    const client = await connect(`${hive.ws}/a`, { WebSocket, token });
    const reply = client.chat('Hi');
    clocked.tick(words.length);
    expect((await reply.result).text).toBe(words.join(''));
    await expect.poll(() => given, { timeout: 5000 }).toEqual(['first', 'second']);
    users.add('third', { id: 'ann' });
    expect(client.state).toBe('open');
    await client.close();
    await expect(connect(`${hive.ws}/a`, { WebSocket, token: 'nobody' })).rejects.toMatchObject({
      closeCode: 4401,
    });
    await expect(
      connect(`${hive.ws}/a`, {
        WebSocket,
        token: () => {
          throw new Error('no keys here');
        },
      }),
    ).rejects.toThrow('no keys here');
    expect(hive.kernel.get(Access).isRequired).toBe(true);
  });
});
