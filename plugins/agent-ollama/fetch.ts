import { type Exchange, ExchangeError, isOk, type ResponseBody } from '#sdk/upstream';
import { Verbatim } from './verbatim.js';

/**
 * The `fetch` of the `ollama` client for one request. It withholds the answer to a chat from the client, whose parser drops
 * malformed lines; `body` reads it instead.
 */
export class OllamaFetch {
  readonly #exchange: Exchange;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #model: string | undefined;
  /** JSON texts to splice into the body that the client writes. */
  readonly verbatim = new Verbatim();
  #body: ResponseBody | undefined;

  /** `headers` are added to the client's own; `model` is the requested one. */
  constructor(exchange: Exchange, headers: Readonly<Record<string, string>> = {}, model?: string) {
    this.#model = model;
    this.#exchange = exchange;
    this.#headers = headers;
  }

  /** For `new Ollama({ fetch })`. @throws ExchangeError, ModelError, because the client would only keep the text of an error */
  readonly fetch = async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const response = await this.#exchange.send(new URL(String(input)), {
      method: init.method ?? 'GET',
      headers: { ...this.#headers, ...(init.headers as Record<string, string>) },
      ...(typeof init.body === 'string' && { body: this.verbatim.splice(init.body) }),
    });
    if (!isOk(response)) throw await this.#exchange.refusal(response, this.#model);
    // One object or many: both are lines. The content type does not matter.
    if (init.method === 'POST') {
      this.#body = this.#exchange.body(response);
      return new Response('');
    }
    const text = await this.#exchange.text(response);
    // The client logs bodies it cannot parse.
    if (!isObject(text)) throw new ExchangeError('CONTENT_TYPE', 'its answer is not JSON');
    return new Response(text, { headers: { 'content-type': 'application/json' } });
  };

  /** The answer to a chat. */
  get body(): ResponseBody {
    if (!this.#body) throw new ExchangeError('', 'nothing was asked');
    return this.#body;
  }
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false; // The caller reports it.
  }
}
