import { createParser, type EventSourceMessage, type ParseError } from 'eventsource-parser';
import { PieceError, type Pieces } from '#sdk/upstream';

const idle = /^(ping|heartbeat|keep-?alive)$/i;

/**
 * Extracts the data of server-sent events (html.spec.whatwg.org/multipage/server-sent-events.html). An event named `error`
 * becomes `{"error": …}`, as does a field of that name, which llama.cpp's server has sent. JSON without a field is data.
 */
export class EventSplitter {
  readonly #parser;
  #data: string[] = [];
  #error: PieceError | undefined;
  #isEmpty = true;
  #isOdd = false;

  constructor(limitBytes: number) {
    this.#parser = createParser({
      maxBufferSize: limitBytes,
      onEvent: (event) => this.#onEvent(event),
      onError: (error) => {
        if (error.type === 'max-buffer-size-exceeded')
          this.#error ??= new PieceError(`an event is longer than ${limitBytes} bytes`);
        else if (error.type === 'unknown-field') this.#onOddLine(error);
      },
    });
  }

  push(text: string): Pieces<string> {
    // The parser accepts no input after an oversized event.
    if (!this.#error) this.#parser.feed(text);
    const values = this.#data;
    this.#data = [];
    return this.#error ? { values, error: this.#error } : { values };
  }

  /** Flushes the last event: many servers omit the empty line after it. Invalid JSON there was cut off. */
  end(): Pieces<string> {
    const { values, error } = this.push('\n\n');
    const whole = values.filter((data) => data.trim() === '[DONE]' || isJson(data));
    if (error) return { values: whole, error };
    if (this.#isEmpty && this.#isOdd)
      return { values: [], error: new PieceError('its answer is neither valid JSON nor a stream of events') };
    return { values: whole };
  }

  #onEvent({ event, data }: EventSourceMessage): void {
    this.#isEmpty = false;
    if (event === undefined || event === 'message') this.#data.push(data);
    else if (event === 'error') this.#data.push(asError(data));
    else if (!idle.test(event)) this.#data.push(data);
  }

  #onOddLine({ field, value = '', line = '' }: ParseError): void {
    if (field === 'error') this.#data.push(asError(value));
    else if (isJson(line) && line.trimStart().startsWith('{')) this.#data.push(line);
    else this.#isOdd = true;
  }
}

function asError(data: string): string {
  return `{"error":${isJson(data) ? data : JSON.stringify(data)}}`;
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
