import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Chat, ChatSink, Cluster, ClusterWatcher, ReplyReader, StreamFrame } from '#kernel';
import { Bus } from '../../kernel/kernel-bus.js';
import type { RedisStreams } from '../../plugins/streams-redis/redis-streams.js';
import { ask } from '../contracts/shared-streams.contract.js';
import { done } from '../support/agents.js';
import { RedisServer } from '../support/redis-server.js';
import { times } from '../support/thorough.js';
import { endAll } from './node.js';
import { type StreamsNode, startStreamsNode } from './streams-node.js';

/** Messages of a node that a test loses, or sends twice. */
class BadMessages {
  lose = 0;
  double = 0;
  readonly watchers = new Set<ClusterWatcher>();

  readonly around = (cluster: Cluster): Cluster => {
    const send: Cluster['send'] = (nodeId, topic, body) => {
      if (this.lose > 0) {
        this.lose--;
        return Promise.resolve(true);
      }
      if (this.double > 0) {
        this.double--;
        void cluster.send(nodeId, topic, body);
      }
      return cluster.send(nodeId, topic, body);
    };
    return {
      get nodeId() {
        return cluster.nodeId;
      },
      get stats() {
        return cluster.stats;
      },
      alive: () => cluster.alive(),
      send,
      broadcast: (...args) => cluster.broadcast(...args),
      on: (...args) => cluster.on(...args),
      sequence: (...args) => cluster.sequence(...args),
      get reached() {
        return cluster.reached;
      },
      follow: (...args) => cluster.follow(...args),
      watch: (watcher) => {
        this.watchers.add(watcher);
        return () => void this.watchers.delete(watcher);
      },
      publishLoad: (read) => cluster.publishLoad(read),
      claim: (...args) => cluster.claim(...args),
    };
  };
}

let server: RedisServer;
const nodes: (StreamsNode & { readonly messages: BadMessages })[] = [];

beforeAll(async () => {
  server = await RedisServer.start();
  for (let index = 0; index < 2; index++) {
    const messages = new BadMessages();
    const remote = { joinMs: 30, beatMs: 25 };
    const node = await startStreamsNode({ url: server.url }, { remote, around: messages.around });
    nodes.push({ ...node, messages });
  }
});
afterAll(async () => {
  await endAll();
  await server.stop();
});

/** An agent that a test speaks for. */
class Speaker implements Chat {
  readonly sinks: ChatSink[] = [];
  readonly #ends: (() => void)[] = [];

  reply: Chat['reply'] = async (_command, { signal }, sink) => {
    this.sinks.push(sink);
    sink.write([{ type: 'agent', agent: 'a', fallback: false }]);
    await new Promise<void>((resolve, reject) => {
      this.#ends.push(resolve);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  };
  embed = () => Promise.reject(new Error('no'));
  statuses = async () => [];

  /** False where nobody listens any more. */
  say(content: string, at = 0): boolean {
    try {
      this.sinks[at]?.write([{ type: 'text', content }]);
      return true;
    } catch {
      return false;
    }
  }

  end(at = 0): void {
    this.sinks[at]?.write([done]);
    this.#ends[at]?.();
  }
}

/** One that reads a reply on one node after the other, and goes on where it was. */
class Client {
  got = '';
  readonly ends: StreamFrame[] = [];
  #reader: ReplyReader | undefined;
  #reading: Promise<void> = Promise.resolve();

  async moveTo(streams: RedisStreams, streamId: string): Promise<void> {
    await this.leave();
    const reply = await streams.find(streamId);
    if (!reply) throw new Error('the reply is gone');
    const reader = reply.read(this.got.length);
    this.#reader = reader;
    this.#reading = this.#read(reader);
  }

  async leave(): Promise<void> {
    await this.#reader?.return();
    await this.#reading;
  }

  /** Reads to the end. */
  async finish(): Promise<void> {
    await this.#reading;
  }

  async #read(reader: ReplyReader): Promise<void> {
    for await (const batch of reader)
      for (const { frame } of batch)
        if (frame.type === 'streaming_token') this.got += frame.content;
        else if (frame.type !== 'streaming_start' && frame.type !== 'queue_update') this.ends.push(frame);
  }
}

function pair() {
  const bus = new Bus(() => {});
  const speakers = nodes.map(() => new Speaker());
  const all = nodes.map((node, at) => node.streams(speakers[at] as Speaker, { flushMs: 5 }, bus));
  return { speakers, all: all as [RedisStreams, RedisStreams] };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('clients that change their server', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ say: fc.string({ unit: 'binary', minLength: 1, maxLength: 5 }) }) },
    { weight: 2, arbitrary: fc.record({ pause: fc.integer({ min: 0, max: 8 }) }) },
    { weight: 2, arbitrary: fc.record({ move: fc.nat(2), to: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ lose: fc.integer({ min: 1, max: 4 }), of: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ double: fc.integer({ min: 1, max: 4 }), of: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.constant({ restore: true }) },
  );

  it('have each character once, in order, and one end, whatever messages are lost or doubled', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { speakers, all } = pair();
        const [speaker] = speakers as [Speaker];
        const reply = await all[0].start(ask());
        await expect.poll(() => speaker.sinks.length).toBe(1);
        const clients = [new Client(), new Client(), new Client()];
        // There is always one on the other node, whose messages may be lost.
        await clients[2]?.moveTo(all[1], reply.streamId);
        let said = '';
        for (const each of steps)
          if ('say' in each) {
            speaker.say(each.say);
            said += each.say;
          } else if ('pause' in each) await pause(each.pause);
          else if ('move' in each)
            await clients[each.move]?.moveTo(all[each.to] as RedisStreams, reply.streamId);
          else if ('lose' in each) {
            Object.assign(nodes[0]?.messages ?? {}, { lose: each.lose });
            for (const content of 'abcd') {
              speaker.say(content);
              said += content;
              await pause(4);
            }
          } else if ('double' in each) Object.assign(nodes[each.of]?.messages ?? {}, { double: each.double });
          // The engine loses everything.
          else {
            await server.command('FLUSHALL');
            for (const streams of all) await streams.compare();
          }
        speaker.end();
        for (const [at, client] of clients.entries()) {
          if (client.ends.length === 0) await client.moveTo(all[at % 2] as RedisStreams, reply.streamId);
          await client.finish();
          expect(client.got).toBe(said);
          expect(client.ends.map(({ type }) => type)).toEqual(['streaming_end']);
        }
        for (const { messages } of nodes) messages.lose = messages.double = 0;
        await Promise.all(all.map((streams) => streams.close()));
      }),
      { numRuns: times(200) },
    );
  });

  it('have a prefix and one SERVER_LOST when another server takes the reply over, or the whole of another run', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 12 }),
        fc.array(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 3 }),
        async (steps, later) => {
          const { speakers, all } = pair();
          try {
            const [first, second] = speakers as [Speaker, Speaker];
            const reply = await all[0].start(ask());
            await expect.poll(() => first.sinks.length).toBe(1);
            const clients = [new Client(), new Client(), new Client()];
            let said = '';
            for (const each of steps)
              if ('say' in each) {
                first.say(each.say);
                said += each.say;
              } else if ('pause' in each) await pause(each.pause);
              else if ('move' in each)
                await clients[each.move]?.moveTo(all[each.to] as RedisStreams, reply.streamId);
              else if ('lose' in each) Object.assign(nodes[each.of]?.messages ?? {}, { lose: each.lose });
            // The second node takes the first one for lost, which is alive.
            const { nodeId = '' } = nodes[0]?.cluster ?? {};
            for (const watcher of nodes[1]?.messages.watchers ?? []) await watcher.gone?.(nodeId, 'lost');
            for (const content of later) first.say(content);
            await all[0].compare();
            await expect.poll(() => reply.ended).toBe(true);
            const isRerun = second.sinks.length > 0;
            expect(isRerun).toBe(all[1].sharedStats.takenOver.rerun > 0);
            if (isRerun) {
              second.say('again');
              second.end();
            }
            for (const client of clients) await client.leave();
            const had = clients.map(({ got }) => got);
            for (const [at, client] of clients.entries()) {
              const hadEnd = client.ends.length > 0;
              if (!hadEnd) await client.moveTo(all[1], reply.streamId);
              await client.finish();
              const [end, ...more] = client.ends;
              expect(more).toEqual([]);
              if (end?.type === 'error') {
                expect(end).toMatchObject({ code: 'SERVER_LOST' });
                expect((said + later.join('')).startsWith(client.got)).toBe(true);
                if (isRerun) expect(hadEnd).toBe(true);
              } else {
                expect(isRerun).toBe(true);
                expect([had[at], client.got]).toEqual(['', 'again']);
              }
            }
            for (const { messages } of nodes) messages.lose = 0;
          } finally {
            await Promise.all(all.map((streams) => streams.close()));
          }
        },
      ),
      { numRuns: times(60), endOnFailure: true },
    );
  });
});
