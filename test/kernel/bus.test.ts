import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Bus } from '../../kernel/bus.js';
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
    await vi.waitFor(() => expect(failures).toHaveLength(2));
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
