import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { BusBatch } from '../../kernel/contracts/bus.js';
import { WaggleError } from '../../kernel/errors.js';
import { Bus } from '../../kernel/kernel-bus.js';
import { eventually } from '../support/eventually.js';
import { deferred } from '../support/kernel.js';

declare module '../../kernel/contracts/bus.js' {
  interface KernelEvents {
    'test:happened': { readonly n: number };
    'test:other': { readonly n: number };
    'test:third': { readonly n: number };
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

describe('an event that leads to itself', () => {
  type Name = 'test:happened' | 'test:other' | 'test:third';
  const next = {
    'test:happened': 'test:other',
    'test:other': 'test:third',
    'test:third': 'test:happened',
  } as const;
  /** So many listeners for each of these events; each does that. */
  const listen = (
    one: Bus,
    names: readonly Name[],
    count: number,
    act: (name: Name) => void | Promise<void>,
  ) => {
    for (const name of names) for (let n = 0; n < count; n++) one.on(name, () => act(name));
  };
  const all: readonly Name[] = ['test:happened', 'test:other', 'test:third'];
  const self: readonly Name[] = ['test:happened'];

  it.each<[how: string, events: number, set: (one: Bus) => void]>([
    ['one listener', 1, (one) => listen(one, self, 1, (name) => one.emit(name, event))],
    ['two listeners', 1, (one) => listen(one, self, 2, (name) => one.emit(name, event))],
    ['ten listeners', 1, (one) => listen(one, self, 10, (name) => one.emit(name, event))],
    [
      'a listener that does so twice',
      1,
      (one) =>
        listen(one, self, 1, (name) => {
          one.emit(name, event);
          one.emit(name, event);
        }),
    ],
    [
      'a listener that fails after it',
      1,
      (one) =>
        listen(one, self, 2, async (name) => {
          one.emit(name, event);
          await nextTurn();
        }),
    ],
    ['a chain of three events', 3, (one) => listen(one, all, 2, (name) => one.emit(next[name], event))],
    [
      'a series that nobody waits for',
      1,
      (one) => listen(one, self, 2, (name) => void one.emitSeries(name, event).catch(() => {})),
    ],
  ])('within its emission is stopped, and told once: %s', async (_, events, set) => {
    const { bus: one, failures } = bus();
    set(one);
    one.emit('test:happened', event);
    await nextTurn();
    const loops = failures.filter(([error]) => WaggleError.is(error, 'KERNEL_EVENT_LOOP'));
    expect(loops).toHaveLength(1);
    const [[loop]] = loops as [[WaggleError<'KERNEL_EVENT_LOOP'>, string]];
    const { path } = loop.details;
    expect(path).toHaveLength(events + 1);
    expect(new Set(path).size).toBe(events);
    expect(path[0]).toBe(path.at(-1));
    // The next one is stopped as well, and others are delivered.
    one.emit('test:happened', event);
    await nextTurn();
    expect(failures).toHaveLength(2 * loops.length);
    const state = vi.fn();
    one.on('kernel:state', state);
    one.emit('kernel:state', { from: 'a', to: 'b' });
    expect(state).toHaveBeenCalledTimes(1);
  });

  it('is stopped where the tree of its emissions is endless before it is deep', () => {
    const { bus: one, failures } = bus();
    let calls = 0;
    // Each level has an event of its own: none leads to itself, and there would be 2^60 emissions.
    for (let level = 0; level < 60; level++)
      for (let n = 0; n < 2; n++)
        one.on(`test:${level}` as 'test:other', () => {
          calls++;
          one.emit(`test:${level + 1}` as 'test:other', event);
        });
    one.emit('test:0' as 'test:other', event);
    expect(failures).toHaveLength(1);
    expect(calls).toBeLessThan(100_000);
  });

  it.each<[how: string, set: (one: Bus) => void]>([
    [
      'one that waits',
      (one) =>
        listen(one, self, 1, async (name) => {
          await null;
          one.emit(name, event);
        }),
    ],
    [
      'two that wait',
      (one) =>
        listen(one, self, 2, async (name) => {
          await null;
          one.emit(name, event);
        }),
    ],
    ['a microtask', (one) => listen(one, self, 2, (name) => queueMicrotask(() => one.emit(name, event)))],
    ['a tick', (one) => listen(one, self, 2, (name) => process.nextTick(() => one.emit(name, event)))],
    [
      'a chain that waits',
      (one) =>
        listen(one, all, 1, async (name) => {
          await null;
          one.emit(next[name], event);
        }),
    ],
  ])('by promises is stopped before the turn of the event loop never ends: %s', async (_, set) => {
    const { bus: one, failures } = bus();
    set(one);
    one.emit('test:happened', event);
    await nextTurn();
    expect(failures).toEqual([[expect.objectContaining({ code: 'KERNEL_EVENT_LOOP' }), expect.any(String)]]);
    // In another turn everything is delivered again.
    const calls = vi.fn();
    const { bus: other } = bus();
    other.on('test:other', calls);
    await nextTurn();
    other.emit('test:other', event);
    expect(calls).toHaveBeenCalledTimes(1);
  });

  it.each<[how: string, wait: () => Promise<unknown> | undefined]>([
    ['at once', () => undefined],
    ['after a promise', () => Promise.resolve()],
  ])('in a series reaches the caller: %s', async (_, wait) => {
    const { bus: one, failures } = bus();
    listen(one, self, 2, async (name) => {
      const waiting = wait();
      if (waiting) await waiting;
      await one.emitSeries(name, event);
    });
    const error = await one.emitSeries('test:happened', event).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'KERNEL_EVENT_LOOP' });
    expect(failures).toEqual([[error, 'test:happened']]);
  });

  it('by watchers holds up nobody', async () => {
    const { bus: one, failures } = bus();
    let watched = 0;
    const undo = [1, 2].map(() =>
      one.watch(({ events }) => {
        watched += events.length;
        one.emit('test:happened', event);
      }),
    );
    one.emit('test:happened', event);
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    expect(watched).toBeGreaterThan(10);
    expect(watched).toBeLessThan(200);
    for (const leave of undo) void leave();
    expect(failures).toEqual([]);
  });

  it('is none where it ends by itself, however often it is emitted', async () => {
    const { bus: one, failures } = bus();
    let calls = 0;
    one.on('test:happened', ({ n }) => {
      calls++;
      if (n > 0) one.emit('test:happened', { n: n - 1 });
    });
    one.emit('test:happened', { n: 50 });
    for (let turn = 0; turn < 12; turn++) {
      for (let n = 0; n < 10_000; n++) one.emit('test:happened', { n: 0 });
      await nextTurn();
    }
    expect(calls).toBe(51 + 12 * 10_000);
    expect(failures).toEqual([]);
  });
});
