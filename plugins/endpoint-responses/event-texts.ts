import type { AnswerTexts } from '#sdk/dialect';
import { ResponseEvents } from './response-events.js';
import type { ResponseHead } from './response-object.js';

/** The events of a response as Server-Sent Events. */
export class ResponseEventTexts extends ResponseEvents implements AnswerTexts {
  readonly #text: { value: string };

  /** Events up to the number `after` are left out. */
  constructor(head: ResponseHead, after?: number) {
    const text = { value: '' };
    super(
      head,
      (type, json) => {
        text.value += `event: ${type}\ndata: ${json}\n\n`;
      },
      after,
    );
    this.#text = text;
  }

  override end(end: Parameters<ResponseEvents['end']>[0]): void {
    super.end(end);
    this.#text.value += doneEvent;
  }

  override fail(...all: Parameters<ResponseEvents['fail']>): void {
    super.fail(...all);
    this.#text.value += doneEvent;
  }

  take(): string {
    const { value } = this.#text;
    this.#text.value = '';
    return value;
  }
}

const doneEvent = 'data: [DONE]\n\n';
