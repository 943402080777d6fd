import type { Transformer } from 'node:stream/web';
import { Fault } from './fault.js';

type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

/** News of the requests of a connection. */
export interface FetchNews {
  /** A message was over the limit, and its stream has ended. */
  tooLarge(fault: Fault): void;
  /** The stream for notifications had been open, and cannot be opened again. */
  streamGone(): void;
}

/** A `fetch` that bounds the messages of a server, as JSON or as events of a stream that never ends. */
export function boundedFetch(limitBytes: number, news: FetchNews): Fetch {
  let wasOpen = false;
  return async (url, init) => {
    const isStream = init?.method === 'GET';
    const lose = () => {
      if (isStream && wasOpen && !init?.signal?.aborted) news.streamGone();
    };
    let response: Response;
    try {
      response = await fetch(url, init);
    } catch (error) {
      lose();
      throw error;
    }
    if (!response.ok || !response.body) {
      if (!response.ok) lose();
      return response;
    }
    if (isStream) wasOpen = true;
    const isEvents = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
    const { status, headers } = response;
    const bound = new TransformStream(new MessageBound(limitBytes, isEvents, news));
    return new Response(response.body.pipeThrough(bound), { status, headers });
  };
}

/** Counts bytes since the last blank line of an event stream, or since the beginning. */
class MessageBound implements Transformer<Uint8Array, Uint8Array> {
  readonly #limitBytes: number;
  readonly #isEvents: boolean;
  readonly #news: FetchNews;
  #bytes = 0;
  #tail = '';

  constructor(limitBytes: number, isEvents: boolean, news: FetchNews) {
    this.#limitBytes = limitBytes;
    this.#isEvents = isEvents;
    this.#news = news;
  }

  transform(chunk: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>): void {
    this.#bytes += chunk.length;
    if (this.#isEvents) {
      const text = this.#tail + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
      const end = Math.max(text.lastIndexOf('\n\n'), text.lastIndexOf('\r\n\r\n'));
      // An event that began in this chunk counts from there.
      if (end >= 0) this.#bytes = Math.min(this.#bytes, text.length - end);
      this.#tail = text.slice(-3);
    }
    if (this.#bytes <= this.#limitBytes) {
      controller.enqueue(chunk);
      return;
    }
    const fault = new Fault('failed', `it sent a message of more than ${this.#limitBytes} bytes`);
    this.#news.tooLarge(fault);
    controller.error(fault);
  }
}
