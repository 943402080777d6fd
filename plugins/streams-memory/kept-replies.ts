import type { MemoryReply } from './memory-reply.js';

interface Limits {
  readonly keepMs: number;
  readonly maxKept: number;
}

/** Ended replies, the one that ended first in front, until their time is over or others need the room. */
export class KeptReplies {
  readonly #endedAt = new Map<MemoryReply, number>();
  readonly #limits: Limits;
  readonly #onGone: (reply: MemoryReply) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: Limits, onGone: (reply: MemoryReply) => void) {
    this.#limits = limits;
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#endedAt.size;
  }

  keep(reply: MemoryReply): void {
    this.#endedAt.set(reply, performance.now());
    if (this.#endedAt.size > this.#limits.maxKept) this.dropOldest();
    this.#schedule();
  }

  /** Makes room. False when there is nothing left to drop. */
  dropOldest(): boolean {
    const [oldest] = this.#endedAt.keys();
    if (!oldest) return false;
    this.#endedAt.delete(oldest);
    this.#onGone(oldest);
    return true;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.dropOldest());
  }

  /** One timer, for the oldest. */
  #schedule(): void {
    if (this.#timer) return;
    const [endedAt] = this.#endedAt.values();
    if (endedAt === undefined) return;
    const dueMs = Math.max(1, endedAt + this.#limits.keepMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#expire();
      this.#schedule();
    }, dueMs);
    // What is kept for later is no reason to go on running.
    this.#timer.unref();
  }

  #expire(): void {
    const oldest = performance.now() - this.#limits.keepMs;
    for (const endedAt of this.#endedAt.values()) {
      if (endedAt > oldest) return;
      this.dropOldest();
    }
  }
}
