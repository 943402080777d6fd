/** The node of one item, with which it can be removed. */
export interface Place<T> {
  readonly item: T;
  list: LinkedList<T> | undefined;
  previous: Place<T> | undefined;
  next: Place<T> | undefined;
}

/**
 * A doubly linked list: every operation takes constant time. For items that come and go quickly it is better than a `Set` or
 * the order of a `Map`: V8 links each outgrown table of those to the next, so that their removed items stay in memory until
 * the next major garbage collection, and their first item is found by passing all removed ones.
 */
export class LinkedList<T> implements Iterable<T> {
  #first: Place<T> | undefined;
  #last: Place<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Place<T> | undefined {
    return this.#first;
  }

  push(item: T): Place<T> {
    const place: Place<T> = { item, list: this, previous: this.#last, next: undefined };
    if (this.#last) this.#last.next = place;
    else this.#first = place;
    this.#last = place;
    this.#size++;
    return place;
  }

  unshift(item: T): Place<T> {
    const place: Place<T> = { item, list: this, previous: undefined, next: this.#first };
    if (this.#first) this.#first.previous = place;
    else this.#last = place;
    this.#first = place;
    this.#size++;
    return place;
  }

  /** False when it has left already. */
  remove(place: Place<T>): boolean {
    if (place.list !== this) return false;
    const { previous, next } = place;
    if (previous) previous.next = next;
    else this.#first = next;
    if (next) next.previous = previous;
    else this.#last = previous;
    place.list = place.previous = place.next = undefined;
    this.#size--;
    return true;
  }

  /** In order; the current item may be removed meanwhile. */
  *[Symbol.iterator](): Iterator<T> {
    for (let at = this.#first; at; ) {
      const { next } = at;
      yield at.item;
      at = next;
    }
  }
}
