import { type TaskPriority, taskPriorities } from '../../contracts/task.js';
import { type Entry, OwnerTurns } from './owner-turns.js';

const descending = [...taskPriorities].reverse();

/**
 * The highest priority first; within one priority the owners take turns, and each one's items are first in, first out. Every
 * `ageEvery`-th turn goes to the priority whose next item is the oldest, so that nothing starves. Every operation takes
 * constant time.
 */
export class PriorityQueue<T> implements Iterable<T> {
  readonly #levels: Readonly<Record<TaskPriority, OwnerTurns<T>>>;
  readonly #ageEvery: number;
  #size = 0;
  #turns = 0;
  #order = 0;

  constructor(ageEvery: number) {
    this.#ageEvery = ageEvery;
    this.#levels = {
      low: new OwnerTurns(),
      normal: new OwnerTurns(),
      high: new OwnerTurns(),
      urgent: new OwnerTurns(),
    };
  }

  get size(): number {
    return this.#size;
  }

  put(item: T, priority: TaskPriority, owner: string | undefined): Entry<T> {
    this.#size++;
    return this.#levels[priority].put(item, owner, this.#order++);
  }

  /** Adds before all others of its priority. */
  putBack(item: T, priority: TaskPriority): Entry<T> {
    this.#size++;
    return this.#levels[priority].putBack(item, this.#order++);
  }

  take(): T | undefined {
    const next = this.#isForTheOldest(++this.#turns) ? this.#oldest() : this.#highest();
    if (!next) return undefined;
    this.#size--;
    next.turns.take(next);
    return next.item;
  }

  /** Counts the turn of an item that does not have to wait. */
  pass(): void {
    this.#turns++;
  }

  /** False when it has left already. */
  remove(entry: Entry<T>): boolean {
    const removed = entry.turns.remove(entry);
    if (removed) this.#size--;
    return removed;
  }

  /** In the order in which they are taken if nothing else comes. The current item may be removed meanwhile. */
  *[Symbol.iterator](): Iterator<T> {
    const ahead: { readonly rest: Iterator<Entry<T>>; next: Entry<T> }[] = [];
    for (const priority of descending) {
      if (!this.#levels[priority].next) continue;
      const rest = this.#levels[priority][Symbol.iterator]();
      ahead.push({ rest, next: rest.next().value });
    }
    for (let turn = this.#turns + 1; ahead[0]; turn++) {
      let level = ahead[0];
      if (ahead.length > 1 && this.#isForTheOldest(turn))
        for (const each of ahead) if (each.next.order < level.next.order) level = each;
      const { item } = level.next;
      const { done, value } = level.rest.next();
      if (done) ahead.splice(ahead.indexOf(level), 1);
      else level.next = value;
      yield item;
    }
  }

  #isForTheOldest(turn: number): boolean {
    return turn % this.#ageEvery === 0;
  }

  #highest(): Entry<T> | undefined {
    for (const priority of descending) {
      const { next } = this.#levels[priority];
      if (next) return next;
    }
    return undefined;
  }

  #oldest(): Entry<T> | undefined {
    let oldest: Entry<T> | undefined;
    for (const priority of descending) {
      const { next } = this.#levels[priority];
      if (next && (!oldest || next.order < oldest.order)) oldest = next;
    }
    return oldest;
  }
}
