import type { Headers, LogEntry, ReadableListener, ReplyReader } from '#kernel';

/** How the frames of a reply are written into an HTTP body. */
export interface Encoding {
  readonly headers: Headers;
  encode(entry: LogEntry): string;
  /** Something that readers ignore; undefined where the format has no such thing. */
  readonly heartbeat: string | undefined;
}

// Without these, proxies hold an event stream back or compress it.
const unbuffered = { 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' };

/** Server-Sent Events (html.spec.whatwg.org/multipage/server-sent-events.html); `id` is the position. */
const sse: Encoding = {
  headers: { 'content-type': 'text/event-stream; charset=utf-8', ...unbuffered },
  encode: ({ type, position, json }) => `id: ${position}\nevent: ${type}\ndata: ${json}\n\n`,
  heartbeat: ': keep-alive\n\n',
};

/** One JSON object a line. */
const ndjson: Encoding = {
  headers: { 'content-type': 'application/x-ndjson; charset=utf-8', ...unbuffered },
  encode: ({ json }) => `${json}\n`,
  heartbeat: undefined,
};

/** NDJSON for who asks for it, else SSE. */
export function encodingFor(accept: string | undefined): Encoding {
  return accept?.includes('application/x-ndjson') ? ndjson : sse;
}

type Part = IteratorResult<string>;

const done: Part = { done: true, value: undefined };

/** What a reader gives, as text: one part a batch, and heartbeats in between. Closing it lets the reader leave. */
export class EncodedReply implements AsyncIterableIterator<string>, ReadableListener {
  readonly #reader: ReplyReader;
  readonly #encoding: Encoding;
  readonly #heartbeatMs: number;
  /** What the reader gave already. */
  #first: readonly LogEntry[] | undefined;
  #waiting: ((part: Part) => void) | undefined;
  /** One for all heartbeats: a timer for each batch would cost as much as its text. */
  #timer: NodeJS.Timeout | undefined;

  constructor(
    first: readonly LogEntry[] | undefined,
    reader: ReplyReader,
    encoding: Encoding,
    heartbeatMs: number,
  ) {
    this.#first = first;
    this.#reader = reader;
    this.#encoding = encoding;
    this.#heartbeatMs = heartbeatMs;
    reader.onReadable(this);
  }

  readable(): void {
    // Where nobody waits the connection takes nothing.
    const part = this.#waiting && this.#take();
    if (part) this.#give(part);
    else if (!this.#waiting) this.#reader.merge();
  }

  async next(): Promise<Part> {
    const part = this.#take();
    if (part) return part;
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#expectHeartbeat();
    });
  }

  async return(): Promise<Part> {
    clearTimeout(this.#timer);
    await this.#reader.return();
    return done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Undefined where there is nothing yet. */
  #take(): Part | undefined {
    const entries = this.#first ?? this.#reader.take();
    this.#first = undefined;
    if (!entries) return done;
    if (entries.length === 0) return undefined;
    return { done: false, value: entries.map(this.#encoding.encode).join('') };
  }

  #give(part: Part): void {
    this.#waiting?.(part);
    this.#waiting = undefined;
  }

  #expectHeartbeat(): void {
    const { heartbeat } = this.#encoding;
    if (heartbeat === undefined) return;
    this.#timer ??= setTimeout(() => this.#give({ done: false, value: heartbeat }), this.#heartbeatMs);
    this.#timer.refresh();
  }
}
