/** The place of one item in a list, with which it can be taken out again. */
export interface Place<T> {
  readonly item: T;
  /** When it came, as a count. */
  readonly order: number;
  list: LinkedList<T> | undefined;
  previous: Place<T> | undefined;
  next: Place<T> | undefined;
}

/** A queue out of which anything can be taken: every step costs the same, however long it is. */
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

  /** False when it is not here any more. */
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
