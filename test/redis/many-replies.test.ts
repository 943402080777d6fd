import { expect, it } from 'vitest';
import WebSocket from 'ws';
import { connect } from '../../plugins/endpoint-ws/client/index.js';
import { eventually } from '../support/eventually.js';
import { Scrape } from '../support/prometheus.js';
import type { RedisServer } from '../support/redis-server.js';
import type { RunningServer } from '../support/server.js';
import { figures, soak } from '../support/soak.js';
import { ask, framesOf, resume, textOf } from './chat-lines.js';
import { redisForEach } from './node.js';
import { startTalker, words } from './talker.js';

let server: RedisServer;
redisForEach((each) => {
  server = each;
});

/** Does so many works, some at a time. */
async function many(count: number, atOnce: number, work: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async () => {
    for (let at = next++; at < count; at = next++) await work(at);
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

const rssMb = async ({ url }: RunningServer) =>
  (await Scrape.of(url)).value('process_resident_memory_bytes') / 1024 ** 2;

/** The keys and channels of Redis. A client id stays known for a minute, so that a connection that comes back is not a stranger. */
async function left(): Promise<readonly string[]> {
  const keys = await server.command<string[]>('KEYS', '*');
  const channels = await server.command<string[]>('PUBSUB', 'CHANNELS', '*');
  const ids = keys.filter((key) => key.startsWith('w:c:'));
  for (const id of ids.slice(0, 100)) expect(await server.command('PTTL', id)).toBeLessThanOrEqual(60_000);
  return [...keys, ...channels].filter((name) => !ids.includes(name)).sort();
}

it(
  'many replies and clients leave nothing in Redis, and take no more and more memory',
  async () => {
    const [replies, clients] = soak([2000, 200], [100_000, 10_000]);
    const streams = { keepMs: 10_000 };
    // What is kept of conversations is soon as much as it may be.
    const options = { streams, store: { maxMessages: 4, maxConversations: 500 } };
    const [a, b] = [await startTalker(server.url, options), await startTalker(server.url, options)];
    const both = [a, b] as const;
    const text = words(5);
    /** Every tenth is read on the other server, every hundredth is cut off and read on there. */
    const reply = async (at: number) => {
      const [here, there] = at % 2 === 0 ? [a, b] : [b, a];
      const user = `user${at % 500}`;
      const request = {
        content: 'talk 5 0',
        agent: 'talker',
        user_id: user,
        request_id: `r${at}`,
        conversation_id: user,
      };
      const response = await ask(here, request);
      const had = await textOf(framesOf(response), at % 100 === 0 ? 1 : undefined);
      if (at % 100 !== 0) expect(had.content).toBe(text);
      if (at % 10 !== 0) return;
      const position = had.content.length < text.length ? had.content.length : 0;
      const rest = await textOf(framesOf(await resume(there, had.streamId, position)));
      const whole = had.content.slice(0, position) + rest.content;
      expect([rest.last?.type, whole]).toEqual(['streaming_end', text]);
    };
    const client = async (at: number) => {
      const id = `client${at % 1000}`;
      const opened = await connect(`${both[at % 2]?.ws}/${id}`, { WebSocket, reconnect: false });
      expect(await opened.ask('talk 1 0', { agent: 'talker' })).toMatchObject({ text: words(1) });
      await opened.close();
    };
    await eventually(async () => expect(await left()).toContain('w:all'));
    const before = await left();
    const from = performance.now();
    const sizes: number[][] = [];
    for (let part = 0; part < 4; part++) {
      await many(replies / 4, 50, (at) => reply(at + (part * replies) / 4));
      await many(clients / 4, 20, client);
      sizes.push(await Promise.all(both.map(rssMb)));
    }
    const ms = performance.now() - from;
    await eventually(async () => expect(await left()).toEqual(before));
    const [[a1 = 0, b1 = 0] = [], [a2 = 0, b2 = 0] = [], [a3 = 0, b3 = 0] = [], [a4 = 0, b4 = 0] = []] =
      sizes;
    figures('fault 17', { replies, clients, ms, a1, a2, a3, a4, b1, b2, b3, b4 });
    // Memory grows until all that is kept is kept once, and the heap has found its size.
    expect(a4).toBeLessThan(a2 * 1.2 + 30);
    expect(b4).toBeLessThan(b2 * 1.2 + 30);
  },
  soak(180_000, 1_800_000),
);
