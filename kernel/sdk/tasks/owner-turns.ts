import { IdMap } from '../id-map.js';
import { LinkedList, type Place } from '../linked-list.js';

/** An item in the line. */
export interface Entry<T> {
  readonly item: T;
  /** Counts arrivals. */
  readonly order: number;
  readonly turns: OwnerTurns<T>;
  readonly line: OwnerLine<T>;
  place: Place<Entry<T>> | undefined;
}

/** The items of one owner, first in, first out. */
interface OwnerLine<T> {
  readonly owner: string | undefined;
  readonly entries: LinkedList<Entry<T>>;
  /** Its place in the round; undefined while it is empty. */
  turn: Place<OwnerLine<T>> | undefined;
}

/**
 * Items whose owners take turns, so that a long line of one delays another one's first item by one turn. All items without
 * an owner share one line. Every operation takes constant time.
 */
export class OwnerTurns<T> {
  /** The owners that have items, the next one first. */
  readonly #round = new LinkedList<OwnerLine<T>>();
  readonly #lines = new IdMap<OwnerLine<T>>();
  readonly #ownerless: OwnerLine<T> = lineOf(undefined);
  /** Items that had their turn already, and precede all others. */
  readonly #returned: OwnerLine<T> = lineOf(undefined);

  /** The item whose turn is next. */
  get next(): Entry<T> | undefined {
    return (this.#returned.entries.first ?? this.#round.first?.item.entries.first)?.item;
  }

  /** Adds an item behind the others of its owner. A new owner is last in the round. */
  put(item: T, owner: string | undefined, order: number): Entry<T> {
    const line = this.#lineOf(owner);
    const entry: Entry<T> = { item, order, turns: this, line, place: undefined };
    entry.place = line.entries.push(entry);
    line.turn ??= this.#round.push(line);
    return entry;
  }

  /** Adds an item before all others. */
  putBack(item: T, order: number): Entry<T> {
    const line = this.#returned;
    const entry: Entry<T> = { item, order: this.next?.order ?? order, turns: this, line, place: undefined };
    entry.place = line.entries.unshift(entry);
    return entry;
  }

  /** Takes an entry whose turn it is: its owner is last in the round from now on. */
  take(entry: Entry<T>): void {
    const { line } = entry;
    this.remove(entry);
    if (!line.turn || this.#round.size === 1) return;
    this.#round.remove(line.turn);
    line.turn = this.#round.push(line);
  }

  /** False when it has left already. */
  remove({ line, place }: Entry<T>): boolean {
    if (!place || !line.entries.remove(place)) return false;
    if (line.entries.size === 0 && line.turn) {
      this.#round.remove(line.turn);
      line.turn = undefined;
      if (line.owner !== undefined) this.#lines.delete(line.owner);
    }
    return true;
  }

  /** In the order of the turns. */
  *[Symbol.iterator](): Iterator<Entry<T>> {
    yield* this.#returned.entries;
    let round: Place<Entry<T>>[] = [];
    for (const { entries } of this.#round) if (entries.first) round.push(entries.first);
    while (round.length > 0) {
      const following: Place<Entry<T>>[] = [];
      for (const place of round) {
        const { next } = place;
        if (next) following.push(next);
        yield place.item;
      }
      round = following;
    }
  }

  #lineOf(owner: string | undefined): OwnerLine<T> {
    if (owner === undefined) return this.#ownerless;
    const known = this.#lines.get(owner);
    if (known) return known;
    const line = lineOf<T>(owner);
    this.#lines.set(owner, line);
    return line;
  }
}

function lineOf<T>(owner: string | undefined): OwnerLine<T> {
  return { owner, entries: new LinkedList(), turn: undefined };
}
