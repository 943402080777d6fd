import type { IncomingMessage } from 'node:http';
import { type Exchange, ExchangeError, isOk } from '#kernel';
import { Verbatim } from './verbatim.js';

/**
 * What the client of the `ollama` package sends one request with. The answer to a chat is kept back from the client, whose
 * parser drops broken lines, and read through `body`.
 */
export class OllamaFetch {
  readonly #exchange: Exchange;
  readonly #headers: Readonly<Record<string, string>>;
  /** What the client's JSON is to have as it is. */
  readonly verbatim = new Verbatim();
  #streamed: IncomingMessage | undefined;

  /** `headers` go along with the client's own. */
  constructor(exchange: Exchange, headers: Readonly<Record<string, string>> = {}) {
    this.#exchange = exchange;
    this.#headers = headers;
  }

  /** For `new Ollama({ fetch })`. @throws ExchangeError */
  readonly fetch = async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const response = await this.#exchange.send(new URL(String(input)), {
      method: init.method ?? 'GET',
      headers: { ...this.#headers, ...(init.headers as Record<string, string>) },
      ...(typeof init.body === 'string' && { body: this.verbatim.splice(init.body) }),
    });
    const { statusCode: status = 0 } = response;
    const ok = isOk(response);
    // One object or many: both are lines. What says it is JSON is taken for it, whatever its type is called.
    if (ok && init.method === 'POST') {
      this.#streamed = response;
      return new Response('');
    }
    const text = await this.#exchange.text(response);
    const json = parse(text);
    if (ok && json === undefined) throw new ExchangeError('CONTENT_TYPE', 'its answer is not JSON');
    // The client prints what it cannot read, and pages of proxies are nobody's business.
    const error = typeof json?.error === 'string' ? json.error : `status ${status}`;
    const body = ok ? text : JSON.stringify({ error });
    return new Response(body, { status, headers: { 'content-type': 'application/json' } });
  };

  /** The answer to a chat. */
  get body(): IncomingMessage {
    if (!this.#streamed) throw new ExchangeError('', 'nothing was asked');
    return this.#streamed;
  }
}

function parse(text: string): { readonly error?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined; // The caller says what it means that this is not JSON.
  }
}
