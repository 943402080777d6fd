import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type TaskPriority, taskPriorities } from '#kernel';
import type { Entry } from '../../../kernel/sdk/tasks/owner-turns.js';
import { PriorityQueue } from '../../../kernel/sdk/tasks/priority-queue.js';
import { times } from '../../support/thorough.js';

interface Item {
  readonly id: number;
  readonly owner: string | undefined;
  readonly priority: TaskPriority;
}

const owners = [undefined, 'ann', 'bob', 'cid', 'undefined', '__proto__'];

/** A queue, and what has to be in it. */
class Watched {
  readonly queue: PriorityQueue<Item>;
  readonly waiting: { readonly item: Item; readonly entry: Entry<Item> }[] = [];
  readonly taken: Item[] = [];
  /** Items of a priority that were taken, by priority. */
  readonly #turns: Record<TaskPriority, number> = { low: 0, normal: 0, high: 0, urgent: 0 };
  /** The turn of its priority at which each owner's first item has to be taken at the latest. */
  readonly #latest = new Map<Item, number>();
  #ids = 0;

  constructor(ageEvery: number) {
    this.queue = new PriorityQueue(ageEvery);
  }

  put(owner: string | undefined, priority: TaskPriority): void {
    const item = { id: this.#ids++, owner, priority };
    this.waiting.push({ item, entry: this.queue.put(item, priority, owner) });
    this.#watchFirst(item);
  }

  take(): void {
    const [expected] = this.queue;
    const item = this.queue.take();
    expect(item).toBe(expected);
    if (!item) {
      expect(this.waiting).toEqual([]);
      return;
    }
    const theirs = this.#lineOf(item);
    expect(theirs[0]?.item).toBe(item);
    this.waiting.splice(
      this.waiting.findIndex((each) => each.item === item),
      1,
    );
    this.taken.push(item);
    expect(++this.#turns[item.priority]).toBeLessThanOrEqual(this.#latest.get(item) as number);
    this.#watchFirst(item);
  }

  remove(index: number): void {
    const [gone] = this.waiting.splice(index % this.waiting.length, 1);
    if (!gone) return;
    expect(this.queue.remove(gone.entry)).toBe(true);
    expect(this.queue.remove(gone.entry)).toBe(false);
    this.#watchFirst(gone.item);
  }

  #lineOf({ owner, priority }: Item) {
    return this.waiting.filter(({ item }) => item.owner === owner && item.priority === priority);
  }

  /** The first item of an owner is taken before every other owner has had a second turn. */
  #watchFirst(like: Item): void {
    const first = this.#lineOf(like)[0]?.item;
    if (!first || this.#latest.has(first)) return;
    const { priority } = first;
    const all = new Set(
      this.waiting.filter(({ item }) => item.priority === priority).map(({ item }) => item.owner),
    );
    this.#latest.set(first, this.#turns[priority] + all.size);
  }
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ owner: fc.constantFrom(...owners), priority: fc.constantFrom(...taskPriorities) }),
  },
  { weight: 3, arbitrary: fc.constant('take' as const) },
  { weight: 1, arbitrary: fc.nat(1000) },
);

describe('the line', () => {
  it('lets each owner wait for one round at most, keeps the order of each, loses nothing and doubles nothing', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 2, max: 20 }), (steps, ageEvery) => {
        const watched = new Watched(ageEvery);
        for (const each of steps) {
          if (each === 'take') watched.take();
          else if (typeof each === 'number') watched.remove(each);
          else watched.put(each.owner, each.priority);
          expect(watched.queue.size).toBe(watched.waiting.length);
        }
        // As it is told to those who wait.
        const order = [...watched.queue];
        const before = watched.taken.length;
        while (watched.queue.size > 0) watched.take();
        expect(watched.taken.slice(before)).toEqual(order);
        expect(new Set(watched.taken).size).toBe(watched.taken.length);
        watched.take();
      }),
      { numRuns: times(500) },
    );
  });

  it('serves what was put back first, and then the owners in their order', () => {
    const queue = new PriorityQueue<string>(1000);
    for (const item of ['a1', 'a2', 'b1']) queue.put(item, 'normal', item[0]);
    queue.putBack('x', 'normal');
    queue.put('high', 'high', 'a');
    const gone = queue.putBack('y', 'normal');
    expect([...queue]).toEqual(['high', 'y', 'x', 'a1', 'b1', 'a2']);
    expect(queue.remove(gone)).toBe(true);
    expect([1, 2, 3, 4, 5].map(() => queue.take())).toEqual(['high', 'x', 'a1', 'b1', 'a2']);
    expect(queue.take()).toBeUndefined();
  });

  it.each(['the current item', 'the following items'])('can be read while %s leaves', (which) => {
    const queue = new PriorityQueue<number>(16);
    const entries = [0, 1, 2, 3].map((item) => queue.put(item, 'normal', item % 2 ? 'ann' : 'bob'));
    const seen: number[] = [];
    for (const item of queue) {
      seen.push(item);
      if (which === 'the current item') queue.remove(entries[item] as Entry<number>);
      else if (item === 0) for (const entry of entries.slice(1)) queue.remove(entry);
    }
    expect(new Set(seen).size).toBe(seen.length);
    if (which === 'the current item') expect(seen).toEqual([0, 1, 2, 3]);
    expect(queue.size).toBe(which === 'the current item' ? 0 : 1);
  });

  it('takes as long for 100,000 owners as for one', () => {
    const queue = new PriorityQueue<number>(16);
    const entries = Array.from({ length: 100_000 }, (_, n) => queue.put(n, 'normal', `user ${n}`));
    for (const entry of entries.slice(0, 50_000)) queue.remove(entry);
    expect(Array.from({ length: 50_000 }, () => queue.take())).toEqual(
      Array.from({ length: 50_000 }, (_, n) => n + 50_000),
    );
    expect(queue.size).toBe(0);
  });
});
