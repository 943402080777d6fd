import type { ReadableListener } from '../contracts/readable.js';
import type { LogEntry, ReplyReader } from '../contracts/stream.js';
import type { BodyParts } from '../contracts/transport.js';
import { timerMs } from '../duration.js';

/** Something that clients ignore, for proxies that close what is quiet. */
export interface Heartbeat {
  readonly text: string;
  /** After so long without a part. */
  readonly afterMs: number;
  /** The same before the first part. */
  readonly firstAfterMs?: number;
}

/** A reply as the body of an answer: a part for all that is new, fewer and longer ones for a slow client. Closing it lets the reader leave. */
export abstract class ReplyBody<Entry = LogEntry> implements BodyParts, ReadableListener {
  readonly #reader: ReplyReader<Entry>;
  readonly #heartbeat: Heartbeat | undefined;
  #listener: ReadableListener | undefined;
  #begun = false;
  #isUntaken = false;
  #isBeatDue = false;
  #quietSinceMs = 0;
  /** One for all heartbeats, which looks at the clock: to set it anew for each part would cost as much as the part. */
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

  /** The text of one or more entries, perhaps ''. What it throws before the body has `begun` still becomes an error with a status. */
  protected abstract encode(entries: readonly Entry[], begun: boolean): string;

  /** Nothing is there. */
  #rest(): string {
    if (!this.#heartbeat) return '';
    this.#quietSinceMs = performance.now();
    if (!this.#timer) this.#beatIn(this.#silenceMs);
    if (!this.#isBeatDue) return '';
    this.#isBeatDue = false;
    this.#begun = true;
    return this.#heartbeat.text;
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
      // Whoever took it may have closed the body.
      if (this.#timer) this.#beatIn(this.#isBeatDue ? this.#silenceMs : leftMs);
    }, timerMs(ms));
  }
}
