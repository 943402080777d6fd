import { createParser } from 'eventsource-parser';
import { PieceError, type PieceSplitter, type Pieces } from '#kernel';

/** Cuts the data of events out of a body (html.spec.whatwg.org/multipage/server-sent-events.html). */
export class EventSplitter implements PieceSplitter<string> {
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true });
  readonly #parser;
  #data: string[] = [];
  #error: PieceError | undefined;

  constructor(limitBytes: number) {
    this.#parser = createParser({
      maxBufferSize: limitBytes,
      onEvent: ({ data }) => this.#data.push(data),
      onError: ({ type }) => {
        if (type === 'max-buffer-size-exceeded')
          this.#error = new PieceError(`an event is longer than ${limitBytes} bytes`);
      },
    });
  }

  push(bytes: Uint8Array): Pieces<string> {
    try {
      this.#parser.feed(this.#utf8.decode(bytes, { stream: true }));
    } catch (cause) {
      this.#error ??= new PieceError('an event is not valid UTF-8', { cause });
    }
    const values = this.#data;
    this.#data = [];
    return this.#error ? { values, error: this.#error } : { values };
  }

  /** By the rules of event streams what has no end does not count. */
  end(): Pieces<string> {
    return { values: [] };
  }
}
