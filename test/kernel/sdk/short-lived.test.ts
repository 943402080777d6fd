import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExpiringSet, IdMap, LinkedList } from '#sdk';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as (options?: { readonly type: 'minor' }) => void;

const items = 4000;
const underWay = 20;
const itemBytes = 4096;
interface Item {
  readonly id: string;
  readonly bytes: ArrayBuffer;
}

/** Items that are in memory although they are gone, without a major collection. Their bytes are counted as soon as they are free. */
function leftOver(enter: (item: Item) => () => void): number {
  gc();
  const before = process.memoryUsage().arrayBuffers;
  const leave: (() => void)[] = [];
  for (let at = 0; at < items; at++) {
    leave.push(enter({ id: String(at), bytes: new ArrayBuffer(itemBytes) }));
    if (leave.length > underWay) leave.shift()?.();
    // Those under way at a collection are old from then on, so there are few of them.
    if (at % 400 === 0) gc({ type: 'minor' });
  }
  for (const each of leave) each();
  gc({ type: 'minor' });
  gc({ type: 'minor' });
  return (process.memoryUsage().arrayBuffers - before) / itemBytes;
}

describe('items that come and go', () => {
  it.each<[name: string, enter: () => (item: Item) => () => void]>([
    [
      'LinkedList',
      () => {
        const list = new LinkedList<Item>();
        return (item) => {
          const place = list.push(item);
          return () => void list.remove(place);
        };
      },
    ],
    [
      'IdMap',
      () => {
        const map = new IdMap<Item>();
        return (item) => {
          map.set(item.id, item);
          return () => void map.delete(item.id);
        };
      },
    ],
  ])('are free at once in a %s', (_, enter) => {
    // A major collection under way keeps what it has marked, on a busy machine more often than not.
    let left = leftOver(enter());
    for (let tries = 1; tries < 20 && left >= items / 4; tries++) left = leftOver(enter());
    expect(left).toBeLessThan(items / 4);
  });

  it('are not in a Map, which is why those exist', () => {
    const map = new Map<string, Item>();
    const left = leftOver((item) => {
      map.set(item.id, item);
      return () => void map.delete(item.id);
    });
    expect(left).toBeGreaterThan(items / 4);
  });
});

describe('ExpiringSet', () => {
  it('lets the oldest go first, each of them once, however many there are', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ keep: fc.integer({ min: 1, max: 900 }) }) },
      fc.record({ drop: fc.integer({ min: 1, max: 300 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.integer({ min: 0, max: 500 }), (steps, maxKept) => {
        const gone: number[] = [];
        const kept = new ExpiringSet<number>({ keepMs: 60_000, maxKept }, (item) => gone.push(item));
        let next = 0;
        for (const each of steps) {
          if ('keep' in each) for (let count = 0; count < each.keep; count++) kept.keep(next++);
          else for (let count = 0; count < each.drop; count++) kept.dropOldest();
          expect(kept.size).toBe(next - gone.length);
          expect(kept.size).toBeLessThanOrEqual(maxKept);
        }
        kept.clear();
        expect(kept.size).toBe(0);
        expect(gone).toEqual(Array.from({ length: next }, (_, at) => at));
      }),
      { numRuns: 40 },
    );
  });

  it('holds nothing that is gone', () => {
    const kept = new ExpiringSet<object>({ keepMs: 60_000, maxKept: 1 }, () => {});
    const gone = new WeakRef({});
    const keep = () => kept.keep(gone.deref() as object);
    keep();
    kept.keep({});
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      gc();
      expect(gone.deref()).toBeUndefined();
      kept.clear();
    });
  });
});
