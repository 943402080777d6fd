import type { ReadableListener } from '../contracts/readable.js';
import type { LogEntry, ReplyReader } from '../contracts/stream.js';
import type { BodyParts } from '../contracts/transport.js';
import { timerMs } from '../duration.js';

/** Text that clients ignore, against proxies that close idle connections. */
export interface Heartbeat {
  readonly text: string | (() => string);
  /** Silence before a heartbeat. */
  readonly afterMs: number;
  /** Silence before a heartbeat while no part was sent yet. */
  readonly firstAfterMs?: number;
}

/** A reply as a response body: one part per batch of entries, fewer and longer ones for a slow client. */
export abstract class ReplyBody<Entry = LogEntry> implements BodyParts, ReadableListener {
  readonly #reader: ReplyReader<Entry>;
  readonly #heartbeat: Heartbeat | undefined;
  #listener: ReadableListener | undefined;
  #begun = false;
  #isUntaken = false;
  #isBeatDue = false;
  #quietSinceMs = 0;
  /** One timer, re-checked when it fires: re-arming per part costs as much as the part. */
  #timer: NodeJS.Timeout | undefined;

  constructor(reader: ReplyReader<Entry>, heartbeat?: Heartbeat) {
    this.#reader = reader;
    this.#heartbeat = heartbeat;
    reader.onReadable(this);
  }

  take(): string | undefined {
    this.#isUntaken = false;
    for (;;) {
      const entries = this.#reader.take();
      if (!entries) return undefined;
      if (entries.length === 0) return this.#rest();
      const part = this.encode(entries, this.#begun);
      if (part === '') continue;
      this.#begun = true;
      this.#isBeatDue = false;
      return part;
    }
  }

  onReadable(listener: ReadableListener): void {
    this.#listener = listener;
  }

  readable(): void {
    this.#isUntaken = true;
    this.#listener?.readable();
    // The connection has no room.
    if (this.#isUntaken) this.#reader.merge();
  }

  return(): Promise<unknown> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.#reader.return();
  }

  /** The text of one or more entries, perhaps ''. An error thrown before the body has `begun` still gets its own status. */
  protected abstract encode(entries: readonly Entry[], begun: boolean): string;

  /** The part where there are no entries: '' or a heartbeat. */
  #rest(): string {
    if (!this.#heartbeat) return '';
    this.#quietSinceMs = performance.now();
    if (!this.#timer) this.#beatIn(this.#silenceMs);
    if (!this.#isBeatDue) return '';
    this.#isBeatDue = false;
    this.#begun = true;
    const { text } = this.#heartbeat;
    return typeof text === 'string' ? text : text();
  }

  get #silenceMs(): number {
    const { afterMs = 0, firstAfterMs = afterMs } = this.#heartbeat ?? {};
    return this.#begun ? afterMs : firstAfterMs;
  }

  #beatIn(ms: number): void {
    this.#timer = setTimeout(() => {
      const leftMs = this.#silenceMs - (performance.now() - this.#quietSinceMs);
      this.#isBeatDue = leftMs <= 0;
      if (this.#isBeatDue) this.#listener?.readable();
      // The listener may have closed the body.
      if (this.#timer) this.#beatIn(this.#isBeatDue ? this.#silenceMs : leftMs);
    }, timerMs(ms));
  }
}
