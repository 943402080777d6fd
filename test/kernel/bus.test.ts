import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Bus, type BusBatch } from '../../kernel/bus.js';
import { eventually } from '../support/eventually.js';
import { deferred } from '../support/kernel.js';

declare module '../../kernel/bus.js' {
  interface KernelEvents {
    'test:happened': { readonly n: number };
  }
}

const event = { n: 1 };

function bus() {
  const failures: [unknown, string][] = [];
  return { bus: new Bus((error, name) => failures.push([error, name])), failures };
}

describe('emit', () => {
  it('calls the listeners of that event now, in the order they came', () => {
    const { bus: one } = bus();
    const seen: string[] = [];
    one.on('test:happened', ({ n }) => void seen.push(`a${n}`));
    one.on('kernel:state', () => void seen.push('other'));
    one.on('test:happened', ({ n }) => void seen.push(`b${n}`));
    one.emit('test:happened', event);
    expect(seen).toEqual(['a1', 'b1']);
  });

  it('never throws: failing listeners are reported with the event, and the others are called', async () => {
    const { bus: one, failures } = bus();
    const seen: number[] = [];
    const thrown = new Error('thrown');
    const rejected = new Error('rejected');
    one.on('test:happened', () => {
      throw thrown;
    });
    one.on('test:happened', async () => {
      throw rejected;
    });
    one.on('test:happened', ({ n }) => void seen.push(n));
    one.emit('test:happened', event);
    expect(seen).toEqual([1]);
    expect(failures).toEqual([[thrown, 'test:happened']]);
    await eventually(() => expect(failures).toHaveLength(2));
    expect(failures[1]).toEqual([rejected, 'test:happened']);
  });

  it('does not wait for a slow listener', () => {
    const { bus: one } = bus();
    const seen: string[] = [];
    one.on('test:happened', () => deferred().promise);
    one.on('test:happened', () => void seen.push('next'));
    one.emit('test:happened', event);
    expect(seen).toEqual(['next']);
  });

  it('fixes its receivers when it begins', () => {
    const { bus: one } = bus();
    const seen: string[] = [];
    one.on('test:happened', () => {
      seen.push('first');
      off();
      one.on('test:happened', () => void seen.push('new'));
    });
    const off = one.on('test:happened', () => void seen.push('leaver'));
    one.emit('test:happened', event);
    expect(seen).toEqual(['first', 'leaver']);
    seen.length = 0;
    one.emit('test:happened', event);
    expect(seen).toEqual(['first', 'new']);
  });
});

describe('on', () => {
  it('takes the same function twice, and each undo takes away its own', () => {
    const { bus: one } = bus();
    const listener = vi.fn();
    const off = one.on('test:happened', listener);
    one.on('test:happened', listener);
    void off();
    void off();
    one.emit('test:happened', event);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('delivers to exactly those who have not left, in their order', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean()), (stays) => {
        const { bus: one } = bus();
        const seen: number[] = [];
        const offs = stays.map((_, index) => one.on('test:happened', () => void seen.push(index)));
        for (const [index, stay] of stays.entries()) if (!stay) void offs[index]!();
        one.emit('test:happened', event);
        expect(seen).toEqual([...stays.keys()].filter((index) => stays[index]));
      }),
    );
  });
});

describe('emitSeries', () => {
  it('awaits one listener after the other', async () => {
    const { bus: one } = bus();
    const seen: string[] = [];
    const gate = deferred();
    one.on('test:happened', async () => {
      seen.push('a begins');
      await gate.promise;
      seen.push('a ends');
    });
    one.on('test:happened', () => void seen.push('b'));
    const series = one.emitSeries('test:happened', event);
    expect(seen).toEqual(['a begins']);
    gate.resolve();
    await series;
    expect(seen).toEqual(['a begins', 'a ends', 'b']);
  });

  it('stops at the first failure, which reaches the caller', async () => {
    const { bus: one, failures } = bus();
    const later = vi.fn();
    const boom = new Error('boom');
    one.on('test:happened', () => {
      throw boom;
    });
    one.on('test:happened', later);
    await expect(one.emitSeries('test:happened', event)).rejects.toBe(boom);
    expect(later).not.toHaveBeenCalled();
    expect(failures).toEqual([]);
  });
});

describe('watch', () => {
  const state = { from: 'a', to: 'b' };
  const numbers = ({ events }: BusBatch) =>
    events.map((each) => (each.name === 'test:happened' ? each.event.n : Number.NaN));

  it('gives everything of one turn in order, with its name and its time, and never inside emit', async () => {
    const { bus: one } = bus();
    const batches: BusBatch[] = [];
    one.watch((batch) => void batches.push(batch));
    const before = performance.now();
    one.on('test:happened', ({ n }) => {
      if (n === 1) one.emit('kernel:state', state);
    });
    one.emit('test:happened', event);
    await one.emitSeries('test:happened', { n: 2 });
    expect(batches).toEqual([]);
    await nextTurn();
    const at = expect.any(Number);
    expect(batches).toEqual([
      {
        events: [
          { name: 'test:happened', event, at },
          { name: 'kernel:state', event: state, at },
          { name: 'test:happened', event: { n: 2 }, at },
        ],
        dropped: 0,
      },
    ]);
    const times = [before, ...batches[0]!.events.map((each) => each.at), performance.now()];
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it('gives what comes later as another batch, and none where nothing came', async () => {
    const { bus: one } = bus();
    const batches: BusBatch[] = [];
    one.watch((batch) => {
      batches.push(batch);
      if (batches.length === 1) one.emit('test:happened', { n: 2 });
    });
    one.emit('test:happened', event);
    await nextTurn();
    expect(batches.map(numbers)).toEqual([[1]]);
    await nextTurn();
    expect(batches.map(numbers)).toEqual([[1], [2]]);
    await nextTurn();
    expect(batches).toHaveLength(2);
  });

  it.each([
    [10_000, 0],
    [10_001, 1],
    [25_003, 15_003],
  ])('gives the newest 10,000 of %i in one turn, and says how many it dropped', async (count, dropped) => {
    const { bus: one } = bus();
    const batches: BusBatch[] = [];
    one.watch((batch) => void batches.push(batch));
    for (let n = 0; n < count; n++) one.emit('test:happened', { n });
    await nextTurn();
    one.emit('test:happened', { n: -1 });
    await nextTurn();
    expect(batches.map((batch) => batch.dropped)).toEqual([dropped, 0]);
    expect(batches.map(numbers)).toEqual([Array.from({ length: 10_000 }, (_, at) => dropped + at), [-1]]);
  });

  it('reports failing watchers, calls the others, and calls all of them again', async () => {
    const { bus: one, failures } = bus();
    const [thrown, rejected] = [new Error('thrown'), new Error('rejected')];
    const seen: number[] = [];
    one.watch(() => {
      throw thrown;
    });
    one.watch(() => Promise.reject(rejected));
    one.watch((batch) => void seen.push(...numbers(batch)));
    for (const n of [1, 2]) {
      one.emit('test:happened', { n });
      await nextTurn();
    }
    expect(seen).toEqual([1, 2]);
    expect(failures).toHaveLength(4);
    expect(failures.slice(0, 2)).toEqual(
      expect.arrayContaining([
        [thrown, '*'],
        [rejected, '*'],
      ]),
    );
  });

  it('gives whoever comes what follows, and whoever leaves nothing more', async () => {
    const { bus: one } = bus();
    const early: number[] = [];
    const late: number[] = [];
    const offs = [one.watch((batch) => void early.push(...numbers(batch)))];
    one.emit('test:happened', { n: 1 });
    offs.push(one.watch((batch) => void late.push(...numbers(batch))));
    one.emit('test:happened', { n: 2 });
    await nextTurn();
    expect([early, late]).toEqual([[1, 2], [2]]);
    one.emit('test:happened', { n: 3 });
    void offs[0]!();
    void offs[0]!();
    one.emit('test:happened', { n: 4 });
    await nextTurn();
    expect([early, late]).toEqual([
      [1, 2],
      [2, 3, 4],
    ]);
  });

  it('lets a watcher take another one away before its turn', async () => {
    const { bus: one } = bus();
    const second = vi.fn();
    one.watch(() => void off());
    const off = one.watch(second);
    one.emit('test:happened', event);
    await nextTurn();
    expect(second).not.toHaveBeenCalled();
  });

  it('leaves nothing pending when the last watcher has left', () => {
    const pending = () => process.getActiveResourcesInfo().filter((type) => type === 'Immediate').length;
    const { bus: one } = bus();
    const before = pending();
    const off = one.watch(() => {});
    one.emit('test:happened', event);
    expect(pending()).toBe(before + 1);
    void off();
    one.emit('test:happened', event);
    expect(pending()).toBe(before);
  });
});
