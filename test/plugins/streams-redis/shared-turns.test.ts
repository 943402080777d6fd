import { afterEach, expect, it, vi } from 'vitest';
import type { Cluster } from '#kernel';
import { Keys } from '../../../plugins/streams-redis/keys.js';
import { SharedTurns } from '../../../plugins/streams-redis/shared-turns.js';
import { silentLogger } from '../../support/kernel.js';

afterEach(() => {
  vi.useRealTimers();
});

/** Turns over an engine that says what a test tells it to. */
function turnsOver(replies: readonly unknown[]) {
  const asked: (readonly string[])[] = [];
  const left = [...replies];
  const broadcast = vi.fn(async () => true);
  const rest = { send: async () => true, on: () => () => {}, stats: { up: true } };
  const cluster = { nodeId: 'a', alive: () => [{ id: 'a' }, { id: 'b' }], broadcast, ...rest };
  const turns = new SharedTurns({
    cluster: cluster as unknown as Cluster,
    link: {
      isUp: true,
      awayMs: 0,
      run: async (_script, _keys, args) => {
        asked.push(args);
        return left.shift() ?? [];
      },
    },
    keys: new Keys('w'),
    logger: silentLogger,
    config: { maxWaitingPerConversation: 8, cancelTimeoutMs: 1000 },
    ttlMs: 1000,
  });
  return { turns, asked, broadcast };
}

const settled = () => new Promise(setImmediate);

it('a turn whose place is lost does not begin until others have had the time to write theirs again', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
  const { turns, asked, broadcast } = turnsOver([
    [1, 0, '5', 1, 'other', 'b'],
    [0, 0, '5', 0, '', ''],
    [0, 0, '5', 1, '', ''],
    [0, 0, '5', 1, '', ''],
    [0, 1, '5', 1, '', ''],
  ]);
  const turn = await turns.enter('c', '00stream');
  let hasBegun = false;
  void turn.wait()?.then(() => {
    hasBegun = true;
  });
  const mayBegin = () => asked.at(-1)?.[4];
  turns.restore();
  await settled();
  expect(broadcast).toHaveBeenCalledTimes(1);
  for (let seconds = 0; seconds < 2; seconds++) {
    vi.advanceTimersByTime(1000);
    await settled();
  }
  expect([mayBegin(), asked.at(-1)?.[2], hasBegun]).toEqual(['0', '5', false]);
  vi.advanceTimersByTime(1000);
  await settled();
  expect([mayBegin(), hasBegun]).toEqual(['1', true]);
  turn.leave();
  await turns.close(10);
  expect(vi.getTimerCount()).toBe(0);
});

it('a turn asks again every second while it waits, and no more once it has begun or left', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
  const waits = [1, 0, '5', 1, 'other', 'b'];
  const { turns, asked } = turnsOver([waits, waits, waits]);
  const turn = await turns.enter('c', '00stream');
  turn.wait()?.catch(() => {});
  for (const count of [2, 3]) {
    vi.advanceTimersByTime(1000);
    await settled();
    expect(asked).toHaveLength(count);
  }
  turn.leave();
  await settled();
  expect(asked).toHaveLength(4);
  expect(vi.getTimerCount()).toBe(0);
  await turns.close(10);
});
