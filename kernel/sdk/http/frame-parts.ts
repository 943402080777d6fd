import type { Arriving, BodyRoom } from './body-room.js';

/** Parts of a frame, held by a native layer until it is complete. They take room as a body does, and give way as one. */
export class FrameParts implements Arriving {
  readonly #room: BodyRoom;
  /** Ends the connection. */
  readonly #end: () => void;
  #bytes = 0;
  #sinceMs = 0;

  constructor(room: BodyRoom, end: () => void) {
    this.#room = room;
    this.#end = end;
  }

  get receivedBytes(): number {
    return this.#bytes;
  }

  get takenBytes(): number {
    return this.#bytes;
  }

  get sinceMs(): number {
    return this.#sinceMs;
  }

  received(bytes: number): void {
    try {
      this.#room.take(bytes, this);
    } catch {
      this.giveWay();
      return;
    }
    if (this.#bytes === 0) {
      this.#sinceMs = performance.now();
      this.#room.enter(this);
    }
    this.#bytes += bytes;
  }

  /** The frame is complete, or so much of it is gone. */
  gone(bytes = this.#bytes): void {
    const left = Math.max(0, this.#bytes - bytes);
    this.#room.give(this.#bytes - left);
    this.#bytes = left;
    if (left === 0) this.#room.leave(this);
  }

  giveWay(): void {
    this.gone();
    this.#end();
  }
}
