/** The node of one item, with which it can be removed. */
export interface Place<T> {
  readonly item: T;
  /** A count of arrivals. */
  readonly order: number;
  list: LinkedList<T> | undefined;
  previous: Place<T> | undefined;
  next: Place<T> | undefined;
}

/** A doubly linked list: every operation takes constant time. */
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

  push(item: T, order: number): Place<T> {
    const place: Place<T> = { item, order, list: this, previous: this.#last, next: undefined };
    if (this.#last) this.#last.next = place;
    else this.#first = place;
    this.#last = place;
    this.#size++;
    return place;
  }

  unshift(item: T, order: number): Place<T> {
    const place: Place<T> = { item, order, list: this, previous: undefined, next: this.#first };
    if (this.#first) this.#first.previous = place;
    else this.#last = place;
    this.#first = place;
    this.#size++;
    return place;
  }

  /** False when it has left already. */
  remove(place: Place<T>): boolean {
    if (place.list !== this) return false;
    if (place.previous) place.previous.next = place.next;
    else this.#first = place.next;
    if (place.next) place.next.previous = place.previous;
    else this.#last = place.previous;
    place.list = undefined;
    this.#size--;
    return true;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let at = this.#first; at; at = at.next) yield at.item;
  }
}
