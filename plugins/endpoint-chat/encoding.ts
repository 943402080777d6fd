import type { Headers, LogEntry, ReplyReader } from '#kernel';

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

type Batch = IteratorResult<readonly LogEntry[]>;

/** What a reader gives, as text: one part a batch, and heartbeats in between. Closing it lets the reader leave. */
export class EncodedReply implements AsyncIterableIterator<string> {
  readonly #reader: ReplyReader;
  readonly #encoding: Encoding;
  readonly #heartbeatMs: number;
  #pending: Promise<Batch>;

  /** `first` is what the reader gave already. */
  constructor(first: Batch, reader: ReplyReader, encoding: Encoding, heartbeatMs: number) {
    this.#pending = Promise.resolve(first);
    this.#reader = reader;
    this.#encoding = encoding;
    this.#heartbeatMs = heartbeatMs;
  }

  async next(): Promise<IteratorResult<string>> {
    const batch = await this.#nextBatch();
    if (!batch) return { done: false, value: this.#encoding.heartbeat as string };
    if (batch.done) return { done: true, value: undefined };
    this.#pending = this.#reader.next();
    return { done: false, value: batch.value.map(this.#encoding.encode).join('') };
  }

  async return(): Promise<IteratorResult<string>> {
    await this.#reader.return();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Undefined when it is time for a heartbeat. */
  async #nextBatch(): Promise<Batch | undefined> {
    if (this.#encoding.heartbeat === undefined) return this.#pending;
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#heartbeatMs);
    });
    const batch = await Promise.race([this.#pending, silence]);
    clearTimeout(timer);
    return batch;
  }
}
