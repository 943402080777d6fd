import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import type { ShardAnswer, Shards } from '#kernel';
import { stateOfAll, streamsOfShards } from '../../../plugins/ui-web/all-shards.js';
import { stateDocs } from '../../../plugins/ui-web/docs.js';

type State = Parameters<typeof stateOfAll>[1];

const sample = { tokensPerSecond: 1, running: 1, waiting: 0, lagMs: 2 };

function stateOf(
  more: Partial<State> = {},
  replies: readonly number[] = [],
  running: readonly number[] = [],
) {
  const reply = (number: number, state: 'running' | 'finished') => ({
    ...{ number, id: 'abcdef', agent: 'eliza', state, durationMs: number },
  });
  const registered = { routes: [], agents: [], tasks: [], services: [], events: [], others: 0 };
  const plugin = { id: 'p', name: 'p', state: 'active', optional: false, setupMs: 1, registered };
  return {
    server: { version: '1', state: 'ready', uptimeMs: 10, rssBytes: 100, heapBytes: 50 },
    plugins: [plugin],
    connections: { open: 1, limit: 10, opened: 2, refused: 0, paths: { '/ws': 1 }, closed: { 1000: 1 } },
    streams: {
      ...{ running: running.length, waiting: 0, kept: 0, readers: 0, tokens: 5 },
      ended: { finished: 1, failed: 0, cancelled: 0 },
      replies: [
        ...running.map((number) => reply(number, 'running')),
        ...replies.map((number) => reply(number, 'finished')),
      ],
    },
    tasks: [{ name: 't', lane: 'main' }],
    samples: [sample],
    ...more,
  } as State;
}

const answersOf = (...states: readonly (State | undefined)[]): readonly ShardAnswer[] =>
  states.map((body, shard) => ({ shard, ...(body && { body }) }));

describe('the state of several processes', () => {
  it('is that of one server, with the sums of all', () => {
    const second = stateOf({
      connections: {
        open: 2,
        limit: 10,
        opened: 3,
        refused: 1,
        paths: { '/ws': 1, '/v1': 1 },
        closed: { other: 2 },
      },
      samples: [sample, sample],
    });
    const all = stateOfAll(answersOf(stateOf(), second), stateOf());
    expect(all.connections).toEqual({
      ...{ open: 3, limit: 20, opened: 5, refused: 1 },
      ...{ paths: { '/ws': 2, '/v1': 1 }, closed: { 1000: 1, other: 2 } },
    });
    expect(all.server).toEqual({ version: '1', state: 'ready', uptimeMs: 10, rssBytes: 200, heapBytes: 100 });
    expect(all.samples).toEqual([sample, { tokensPerSecond: 2, running: 2, waiting: 0, lagMs: 2 }]);
    expect(all.tasks).toHaveLength(1);
    const documented = stateDocs.responses[200]?.content['application/json'] as z.ZodType;
    expect(documented.safeParse(all).error).toBeUndefined();
    expect(all.shards.map(({ shard, connections }) => [shard, connections])).toEqual([
      [0, 1],
      [1, 2],
    ]);
  });

  it('leaves out and names a process that has not answered, this one included', () => {
    const all = stateOfAll(answersOf(undefined, stateOf(), undefined), stateOf());
    expect(all.connections.open).toBe(1);
    expect(all.shards.filter(({ server }) => !server).map(({ shard }) => shard)).toEqual([0, 2]);
    const none = stateOfAll(answersOf(undefined, undefined), stateOf());
    expect(none.connections.open).toBe(1);
    expect(none.streams?.replies).toEqual([]);
  });

  it('shows what is wrong in any of them', () => {
    const [plugin] = stateOf().plugins;
    const broken = stateOf({ plugins: [{ ...plugin, state: 'failed' } as never] });
    const draining = { ...broken, server: { ...broken.server, state: 'draining' as const } };
    const all = stateOfAll(answersOf(stateOf(), draining), stateOf());
    expect([all.server.state, all.plugins[0]?.state]).toEqual(['draining', 'failed']);
  });

  it('numbers each reply once, and finds its stream by the number', async () => {
    const states = [stateOf({}, [1], [2]), stateOf({}, [1], [2, 3]), stateOf({}, [], [1])];
    const { streams } = stateOfAll(answersOf(...states), stateOf());
    const shown = streams?.replies ?? [];
    expect(new Set(shown.map(({ number }) => number)).size).toBe(6);
    expect(shown.map(({ state }) => state)).toEqual([
      ...Array(4).fill('running'),
      ...Array(2).fill('finished'),
    ]);

    const gives: ((body: unknown) => unknown)[] = [];
    const ask = async (_: string, body: unknown) =>
      gives.map((give, shard) => {
        const answer = give(body);
        return { shard, ...(answer === undefined ? {} : { body: answer }) };
      });
    const finds = states.map((_, index) =>
      streamsOfShards(
        {
          index,
          count: 3,
          ask,
          answer: (_topic: string, give: never) => void gives.push(give),
        } as never as Shards,
        (number) => `${index}:${number}`,
      ),
    );
    for (const { number } of shown)
      for (const find of finds) expect(await find(number)).toBe(`${number % 3}:${Math.floor(number / 3)}`);
  });
});
