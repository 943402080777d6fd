import { type TaskPriority, taskPriorities } from '#kernel';
import { LinkedList, type Place } from './linked-list.js';

const descending = [...taskPriorities].reverse();

/**
 * First in, first out within one priority; the highest priority first, but every `ageEvery` turns whoever has waited
 * longest, so that nobody waits for ever. Every step costs the same, however long it is.
 */
export class PriorityQueue<T> implements Iterable<T> {
  readonly #lists: Readonly<Record<TaskPriority, LinkedList<T>>>;
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

  sizeOf(priority: TaskPriority): number {
    return this.#lists[priority].size;
  }

  put(item: T, priority: TaskPriority): Place<T> {
    this.#size++;
    return this.#lists[priority].push(item, this.#order++);
  }

  /** Back to where it was taken from: before all others of its priority. */
  putBack(item: T, priority: TaskPriority): Place<T> {
    this.#size++;
    const list = this.#lists[priority];
    return list.unshift(item, list.first ? list.first.order : this.#order++);
  }

  take(): T | undefined {
    const place = ++this.#turns % this.#ageEvery === 0 ? this.#oldest() : this.#highest();
    if (place) this.remove(place);
    return place?.item;
  }

  /** False when it is not here any more. */
  remove(place: Place<T>): boolean {
    const removed = place.list?.remove(place) ?? false;
    if (removed) this.#size--;
    return removed;
  }

  /** How many are served before one that comes now. */
  ahead(priority: TaskPriority): number {
    let ahead = 0;
    for (const each of descending) {
      ahead += this.#lists[each].size;
      if (each === priority) break;
    }
    return ahead;
  }

  /** By priority, then by age. */
  *[Symbol.iterator](): Iterator<T> {
    for (const priority of descending) yield* this.#lists[priority];
  }

  #highest(): Place<T> | undefined {
    for (const priority of descending) {
      const { first } = this.#lists[priority];
      if (first) return first;
    }
    return undefined;
  }

  #oldest(): Place<T> | undefined {
    let oldest: Place<T> | undefined;
    for (const priority of descending) {
      const { first } = this.#lists[priority];
      if (first && (!oldest || first.order < oldest.order)) oldest = first;
    }
    return oldest;
  }
}
