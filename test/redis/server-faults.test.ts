import { describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { connect } from '../../plugins/endpoint-ws/client/index.js';
import { eventually } from '../support/eventually.js';
import type { FaultProxy } from '../support/fault-proxy.js';
import { Scrape } from '../support/prometheus.js';
import type { RedisServer } from '../support/redis-server.js';
import type { RunningServer } from '../support/server.js';
import { figures, soak } from '../support/soak.js';
import { ask, framesOf, type Had, resume, textOf } from './chat-lines.js';
import { later, proxyOf, redisForEach } from './node.js';
import { startTalker, type TalkerOptions, words } from './talker.js';

let server: RedisServer;
redisForEach((each) => {
  server = each;
});

const talker = (options?: TalkerOptions) => startTalker(server.url, options);
const nodes = async ({ url }: RunningServer) => (await Scrape.of(url)).value('waggle_cluster_nodes');
const remoteReaders = async ({ url }: RunningServer) =>
  (await Scrape.of(url)).value('waggle_stream_remote_readers');
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** What the page promises, and room for a machine that is busy. */
const lostMs = 8000 + 4000;

let users = 0;
/** Begins an answer, and goes once there is something of it. */
async function begin(running: RunningServer, content: string, chars: number): Promise<string> {
  const user = `user${users++}`;
  const response = await ask(running, { content, agent: 'talker', user_id: user, conversation_id: user });
  const streamId = response.headers.get('x-stream-id') ?? '';
  if (chars > 0) await textOf(framesOf(response), chars);
  else await response.body?.cancel();
  return streamId;
}

const read = async (running: RunningServer, streamId: string, position = 0): Promise<Had> =>
  textOf(framesOf(await resume(running, streamId, position)));

const isLost = ({ last }: Had) => last?.type === 'error' && last.code === 'SERVER_LOST';

describe.each(soak([0], [0, 3_600_000, -3_600_000]))(
  'a server, with a clock that is %s ms wrong,',
  (skewMs) => {
    const count = skewMs === 0 ? soak(20, 200) : 50;
    const kills = skewMs === 0 ? soak(1, 20) : 2;

    it(
      'that is killed: what has said nothing is answered whole elsewhere, the rest is lost with a part of its text',
      async () => {
        const [b, c] = [await talker(), await talker()];
        const sums = { latestLostMs: 0, latestWholeMs: 0, whole: 0, lost: 0 };
        for (let kill = 0; kill < kills; kill++) {
          const a = await talker({ isSilent: true, skewMs });
          const [near, far] = kill % 2 === 0 ? [b, c] : [c, b];
          await eventually(async () => expect([await nodes(a), await nodes(near)]).toEqual([3, 3]));
          const ids = await Promise.all(
            Array.from({ length: count }, (_, at) =>
              at % 2 === 0 ? begin(a, 'wait 10 1', 0) : begin(a, 'talk 1000 50', 1),
            ),
          );
          let killedAt = 0;
          const readers = ids.map(async (id) => {
            const had = await read(near, id);
            return { ...had, ms: performance.now() - killedAt };
          });
          await eventually(async () => expect(await remoteReaders(near)).toBe(count));
          killedAt = performance.now();
          await a.stop('SIGKILL');
          const all = await Promise.all(readers);
          for (const [at, had] of all.entries())
            if (at % 2 === 0) {
              expect([had.last?.type, had.content]).toEqual(['streaming_end', words(10)]);
              sums.whole++;
              sums.latestWholeMs = Math.max(sums.latestWholeMs, had.ms);
            } else {
              expect(had.last).toMatchObject({ type: 'error', code: 'SERVER_LOST' });
              expect(words(1000).startsWith(had.content)).toBe(true);
              sums.lost++;
              sums.latestLostMs = Math.max(sums.latestLostMs, had.ms);
            }
          // All can read the same of it afterwards.
          for (const at of [0, 1]) {
            const had = all[at] as Had;
            const there = await read(far, ids[at] ?? '');
            expect([there.last?.type, there.content]).toEqual([had.last?.type, had.content]);
          }
          expect(await remoteReaders(near)).toBe(0);
        }
        expect(sums.latestWholeMs).toBeLessThan(lostMs);
        expect(sums.latestLostMs).toBeLessThan(lostMs);
        figures('fault 5', { kills, skewMs, ...sums });
      },
      soak(120_000, 1_800_000),
    );
  },
);

describe('servers that are restarted one after the other', () => {
  const clients = soak(20, 300);
  const [fewest, most, everyMs] = soak([10, 30, 50], [40, 240, 250]);

  /** Has clients ask all the time while each server is restarted; gives the errors of answers that were not whole. */
  async function roll(drainTimeoutMs: number): Promise<unknown[]> {
    const servers = await Promise.all([1, 2, 3].map(() => talker({ drainTimeoutMs })));
    await eventually(async () => expect(await Promise.all(servers.map(nodes))).toEqual([3, 3, 3]));
    let turn = 0;
    /** Takes one server after the other, as a load balancer does. */
    class Balanced extends WebSocket {
      constructor(url: string) {
        const to = servers[turn++ % servers.length] as RunningServer;
        super(`ws://127.0.0.1:${to.port}${new URL(url).pathname}`);
      }
    }
    const errors: unknown[] = [];
    let [isOver, answers] = [false, 0];
    const talk = async (at: number) => {
      const client = await connect(`ws://waggle/ws/client${at}`, {
        WebSocket: Balanced,
        reconnect: { attempts: 100 },
      });
      while (!isOver) {
        const count = fewest + Math.floor(Math.random() * (most - fewest));
        try {
          const { text } = await client.ask(`talk ${count} ${everyMs}`, { agent: 'talker' });
          if (text !== words(count))
            errors.push(new Error(`${text.length} characters of ${words(count).length}`));
          else answers++;
        } catch (error) {
          errors.push(error);
        }
      }
      await client.close();
    };
    const talking = Promise.all(Array.from({ length: clients }, (_, at) => talk(at)));
    await eventually(() => expect(answers).toBeGreaterThan(0)).catch(() => {}); // long ones have not ended yet
    const began = performance.now();
    for (const [at, each] of servers.entries()) {
      expect(await each.stop()).toBe(0);
      servers[at] = await talker({ drainTimeoutMs });
    }
    const restartsMs = performance.now() - began;
    isOver = true;
    await talking;
    figures('fault 7', { drainTimeoutMs, clients, answers, errors: errors.length, restartsMs });
    expect(answers).toBeGreaterThan(clients);
    return errors;
  }

  it(
    'with time to end their answers, fail none and change no character',
    async () => {
      expect(await roll(90_000)).toEqual([]);
    },
    soak(120_000, 900_000),
  );

  it(
    'without that time, cancel answers because they shut down, and nothing else happens to any',
    async () => {
      const errors = await roll(soak(200, 5000));
      expect(errors.length).toBeGreaterThan(0);
      for (const error of errors)
        expect(error).toMatchObject({ code: 'CANCELLED', message: expect.stringContaining('shutdown') });
    },
    soak(120_000, 900_000),
  );
});

describe('a server that, for 10 s,', () => {
  const replies = soak(10, 50);
  const outageMs = 10_000;
  const [isCut, isSwallowed, isFrozen] = ['is cut off', 'is cut off in silence', 'stands still'];

  it.each(soak([isCut], [isCut, isSwallowed, isFrozen]))(
    '%s, is lost to the others and knows it; each reader has one end, and the same text wherever it reads',
    async (fault) => {
      const proxy: FaultProxy = await proxyOf(server);
      const a = await startTalker(`redis://127.0.0.1:${proxy.port}`);
      const b = await talker();
      await eventually(async () => expect([await nodes(a), await nodes(b)]).toEqual([2, 2]));
      await pause(10_000); // nobody is lost in the first seconds of a server
      const here: Promise<Had>[] = [];
      const there: Promise<Had>[] = [];
      const ids: string[] = [];
      for (let at = 0; at < replies; at++) {
        const id = await begin(a, 'talk 1200 50', 1);
        ids.push(id);
        here.push(read(a, id));
        there.push(read(b, id));
      }
      await eventually(async () => expect(await remoteReaders(b)).toBe(replies));
      const from = performance.now();
      const isReady = async () => (await fetch(`${a.url}/ready`)).status;
      let noticedMs = 0;
      if (fault === isFrozen) a.signal('SIGSTOP');
      else {
        if (fault === isCut) proxy.cut();
        else proxy.swallows = true;
        await eventually(async () => expect(await isReady()).toBe(503));
        noticedMs = performance.now() - from;
        // 4 s, with room for a machine that is busy.
        expect(noticedMs).toBeLessThan(6000);
      }
      const lost = await Promise.all(there);
      const lostAfterMs = performance.now() - from;
      expect(lost.every(isLost)).toBe(true);
      await pause(Math.max(0, outageMs - (performance.now() - from)));
      if (fault === isFrozen) a.signal('SIGCONT');
      else proxy.mend();
      const mendedAt = performance.now();
      await eventually(async () => expect(await isReady()).toBe(200));
      const readyMs = performance.now() - mendedAt;
      expect(readyMs).toBeLessThan(5000);
      const ends = await Promise.all(here);
      expect(ends.every(isLost)).toBe(true);
      for (const { content } of [...lost, ...ends]) expect(words(1200).startsWith(content)).toBe(true);
      // What it wrote after its loss is nowhere.
      for (const [at, id] of ids.entries()) {
        const both = [await read(a, id), await read(b, id)];
        expect(both.map(({ content }) => content)).toEqual([lost[at]?.content, lost[at]?.content]);
        expect(both.every(isLost)).toBe(true);
      }
      const taken = (outcome: string, { url }: RunningServer) =>
        Scrape.of(url).then((scrape) => scrape.value('waggle_stream_taken_over_total', { outcome }));
      expect([await taken('fenced', a), await taken('lost', b)]).toEqual([replies, replies]);
      figures(`fault 11, ${fault}`, { replies, noticedMs, lostAfterMs, readyMs });
      later(() => proxy.mend());
    },
    soak(120_000, 300_000),
  );
});
