import { ContentEntry, type ContentKind, type Entry, mergedChars } from './log-entry.js';

const firstCapacity = 128;
/** Longer pieces stay by themselves: copying costs more than keeping them. Up to here a length, less 1, fits into a byte. */
const pieceLimitChars = 256;

/**
 * Neighbouring pieces of one kind, put together as they come. Outside the heap: tens of thousands of small strings a second
 * that live for minutes cost the garbage collector more than all other work on a token.
 */
export class JoinedContent {
  readonly #kind: ContentKind;
  #units = new Uint16Array(firstCapacity);
  #length = 0;
  /** The length of each piece, less 1. */
  #sizes = new Uint8Array(firstCapacity / 4);
  #count = 0;
  #position = 0;

  constructor(first: ContentEntry) {
    this.#kind = first.kind;
    this.#add(first);
  }

  /** Whether it is a piece of content that is worth joining. */
  static suits(entry: Entry): entry is ContentEntry {
    return (
      entry instanceof ContentEntry && entry.sizes === undefined && entry.content.length <= pieceLimitChars
    );
  }

  /** Puts the next piece to the others; false when it does not belong to them, or there are enough. */
  add(next: Entry): boolean {
    if (!JoinedContent.suits(next) || next.kind !== this.#kind || this.#length >= mergedChars) return false;
    this.#add(next);
    return true;
  }

  /** All of them as one piece. */
  get entry(): ContentEntry {
    const text = Buffer.from(this.#units.buffer, 0, this.#length * 2).toString('utf16le');
    return new ContentEntry(this.#kind, text, this.#position, this.#sizes.slice(0, this.#count));
  }

  #add({ content, position }: ContentEntry): void {
    const { length } = content;
    const end = this.#length + length;
    if (end > this.#units.length) this.#units = grown(this.#units, end);
    const units = this.#units;
    for (let at = 0, to = this.#length; at < length; at++, to++) units[to] = content.charCodeAt(at);
    this.#length = end;
    this.#position = position;
    if (this.#count === this.#sizes.length) this.#sizes = grown(this.#sizes, this.#count + 1);
    this.#sizes[this.#count++] = length - 1;
  }
}

function grown<List extends Uint8Array | Uint16Array>(list: List, needed: number): List {
  const larger = new (list.constructor as new (length: number) => List)(Math.max(needed, list.length * 2));
  larger.set(list);
  return larger;
}
