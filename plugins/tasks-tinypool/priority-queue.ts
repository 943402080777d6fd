import { type TaskPriority, taskPriorities } from '#kernel';
import { LinkedList, type Place } from '#sdk';

/** An item with a count of arrivals. */
interface Waiting<T> {
  readonly item: T;
  readonly order: number;
}

const descending = [...taskPriorities].reverse();

/**
 * First in, first out within one priority, the highest priority first. Every `ageEvery`-th turn goes to the oldest entry,
 * so that nothing starves. Every operation takes constant time.
 */
export class PriorityQueue<T> implements Iterable<T> {
  readonly #lists: Readonly<Record<TaskPriority, LinkedList<Waiting<T>>>>;
  readonly #ageEvery: number;
  #size = 0;
  #turns = 0;
  #order = 0;

  constructor(ageEvery: number) {
    this.#ageEvery = ageEvery;
    this.#lists = {
      low: new LinkedList(),
      normal: new LinkedList(),
      high: new LinkedList(),
      urgent: new LinkedList(),
    };
  }

  get size(): number {
    return this.#size;
  }

  put(item: T, priority: TaskPriority): Place<Waiting<T>> {
    this.#size++;
    return this.#lists[priority].push({ item, order: this.#order++ });
  }

  /** Adds before all others of its priority. */
  putBack(item: T, priority: TaskPriority): Place<Waiting<T>> {
    this.#size++;
    const list = this.#lists[priority];
    return list.unshift({ item, order: list.first ? list.first.item.order : this.#order++ });
  }

  take(): T | undefined {
    const place = ++this.#turns % this.#ageEvery === 0 ? this.#oldest() : this.#highest();
    if (place) this.remove(place);
    return place?.item.item;
  }

  /** False when it has left already. */
  remove(place: Place<Waiting<T>>): boolean {
    const removed = place.list?.remove(place) ?? false;
    if (removed) this.#size--;
    return removed;
  }

  /** By priority, then by age. */
  *[Symbol.iterator](): Iterator<T> {
    for (const priority of descending) for (const { item } of this.#lists[priority]) yield item;
  }

  #highest(): Place<Waiting<T>> | undefined {
    for (const priority of descending) {
      const { first } = this.#lists[priority];
      if (first) return first;
    }
    return undefined;
  }

  #oldest(): Place<Waiting<T>> | undefined {
    let oldest: Place<Waiting<T>> | undefined;
    for (const priority of descending) {
      const { first } = this.#lists[priority];
      if (first && (!oldest || first.item.order < oldest.item.order)) oldest = first;
    }
    return oldest;
  }
}
