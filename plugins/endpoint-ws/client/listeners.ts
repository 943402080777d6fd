import type { ClientEvents } from './types.js';

type Frame = { readonly type: string } & Readonly<Record<string, unknown>>;
type Listener = (frame: Frame) => void;

/** Listeners of the program by type, and its place in the inbox: each notification is heard once, also after lost connections. */
export class Listeners {
  readonly #byType = new Map<string, Set<Listener>>();
  /** The number of the last notification. */
  #seq: number | undefined;
  readonly #send: (frame: object) => void;

  constructor(after: number | undefined, send: (frame: object) => void) {
    this.#seq = after;
    this.#send = send;
  }

  add(type: string, listener: (frame: never) => void): () => void {
    const all = this.#byType.get(type) ?? new Set();
    this.#byType.set(type, all);
    const isFirst = all.size === 0;
    all.add(listener as Listener);
    if (type === 'notification' && isFirst && this.#seq === undefined) this.connected();
    return () => void all.delete(listener as Listener);
  }

  /** Asks for what was missed; the first time for the number that comes next. */
  connected(): void {
    if (this.#seq !== undefined) this.#send({ type: 'inbox', after: this.#seq });
    else if (this.#byType.get('notification')?.size) this.#send({ type: 'inbox' });
  }

  receive(frame: Frame): void {
    const { type } = frame;
    // Lower than ours: it was of another server, whose clock was ahead.
    if (type === 'inbox') this.#seq = Math.min(this.#seq ?? Number.POSITIVE_INFINITY, Number(frame.seq));
    if (type === 'inbox_gap') this.#seq = Math.max(this.#seq ?? 0, Number(frame.to));
    if (type === 'notification') {
      const { seq } = frame as Frame & ClientEvents['notification'];
      if (this.#seq !== undefined && seq <= this.#seq) return;
      this.#seq = seq;
    }
    // Deferred, so that a listener cannot interfere with the current step.
    for (const listener of this.#byType.get(type) ?? []) queueMicrotask(() => listener(frame));
  }
}
