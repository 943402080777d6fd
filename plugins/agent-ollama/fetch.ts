import type { Readable } from 'node:stream';
import { type Exchange, ExchangeError, isOk } from '#sdk/upstream';
import { Verbatim } from './verbatim.js';

/**
 * What the client of the `ollama` package sends one request with. The answer to a chat is kept back from the client, whose
 * parser drops broken lines, and read through `body`.
 */
export class OllamaFetch {
  readonly #exchange: Exchange;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #model: string | undefined;
  /** What the client's JSON is to have as it is. */
  readonly verbatim = new Verbatim();
  #body: Readable | undefined;

  /** `headers` go along with the client's own; `model` is asked for. */
  constructor(exchange: Exchange, headers: Readonly<Record<string, string>> = {}, model?: string) {
    this.#model = model;
    this.#exchange = exchange;
    this.#headers = headers;
  }

  /** For `new Ollama({ fetch })`. @throws ExchangeError, ModelError: of errors the client would keep the text only */
  readonly fetch = async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const response = await this.#exchange.send(new URL(String(input)), {
      method: init.method ?? 'GET',
      headers: { ...this.#headers, ...(init.headers as Record<string, string>) },
      ...(typeof init.body === 'string' && { body: this.verbatim.splice(init.body) }),
    });
    if (!isOk(response)) throw await this.#exchange.refusal(response, this.#model);
    // One object or many: both are lines. What says it is JSON is taken for it, whatever its type is called.
    if (init.method === 'POST') {
      this.#body = await this.#exchange.body(response);
      return new Response('');
    }
    const text = await this.#exchange.text(response);
    // The client prints what it cannot read.
    if (!isObject(text)) throw new ExchangeError('CONTENT_TYPE', 'its answer is not JSON');
    return new Response(text, { headers: { 'content-type': 'application/json' } });
  };

  /** The answer to a chat. */
  get body(): Readable {
    if (!this.#body) throw new ExchangeError('', 'nothing was asked');
    return this.#body;
  }
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false; // The caller says what it means that this is not JSON.
  }
}
