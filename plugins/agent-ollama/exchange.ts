import {
  type ClientRequest,
  type Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { request as httpsRequest } from 'node:https';

/** Bounds of one exchange. */
export interface ExchangeLimits {
  readonly connectTimeoutMs: number;
  /** A body that is not streamed. */
  readonly bodyLimitBytes: number;
}

/** The connection could not be made, or made no sense. `code` is Node's where there is one. */
export class ExchangeError extends Error {
  override readonly name = 'ExchangeError';
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

// Time for the end of an answer to follow its last line, so that the connection can be used again.
const lingerMs = 250;

/**
 * One request to Ollama. `fetch` is what the client of the `ollama` package sends it with: over `node:http`, because
 * global fetch costs three times as much for each token. The answer to a chat is kept back from the client, whose parser
 * drops broken lines, and read through `body`.
 */
export class Exchange {
  readonly #agent: HttpAgent;
  readonly #limits: ExchangeLimits;
  readonly #signal: AbortSignal;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #streamed = false;

  constructor(agent: HttpAgent, limits: ExchangeLimits, signal: AbortSignal) {
    this.#agent = agent;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** For `new Ollama({ fetch })`. @throws ExchangeError */
  readonly fetch = async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input));
    const response = await this.#send(url, init, true);
    const { statusCode: status = 0, headers } = response;
    const type = headers['content-type'] ?? '';
    if (status >= 300 && status < 400) {
      response.destroy();
      throw new ExchangeError('REDIRECT', `it redirects (status ${status})`);
    }
    const ok = status >= 200 && status < 300;
    const isPage = /\b(html|xml)\b/.test(type);
    if (ok && isPage) {
      response.destroy();
      throw new ExchangeError('CONTENT_TYPE', 'its answer is a page, not JSON');
    }
    // One object or many: both are lines. What says it is JSON is taken for it, whatever its type is called.
    if (ok && init.method === 'POST') {
      this.#streamed = true;
      return new Response('');
    }
    const text = await this.#text(response);
    const json = parse(text);
    if (ok && json === undefined) throw new ExchangeError('CONTENT_TYPE', 'its answer is not JSON');
    // The client prints what it cannot read, and pages of proxies are nobody's business.
    const error = typeof json?.error === 'string' ? json.error : `status ${status}`;
    const body = ok ? text : JSON.stringify({ error });
    return new Response(body, { status, headers: { 'content-type': 'application/json' } });
  };

  /** The answer to a chat. */
  get body(): IncomingMessage {
    if (!this.#streamed || !this.#response) throw new ExchangeError('', 'nothing was asked');
    return this.#response;
  }

  /** Ends it: an answer that is over gives its connection back, any other connection is closed before this resolves. */
  async close(over: boolean): Promise<void> {
    const { socket } = this.#request ?? {};
    const request = this.#request;
    if (this.#response?.complete) return void this.#response.resume();
    if (!request || !socket || socket.destroyed) return void request?.destroy();
    if (!over) request.destroy();
    const timer = setTimeout(() => request.destroy(), lingerMs);
    await new Promise<unknown>((resolve) => {
      socket.once('close', resolve);
      if (over) this.#response?.once('close', resolve).resume();
    });
    clearTimeout(timer);
  }

  #send(url: URL, init: RequestInit, mayRetry: boolean): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      this.#signal.throwIfAborted();
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const body = typeof init.body === 'string' ? init.body : undefined;
      const request = send(url, {
        method: init.method ?? 'GET',
        agent: this.#agent,
        headers: {
          ...(init.headers as Record<string, string>),
          ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
        },
      });
      this.#request = request;
      const connecting = setTimeout(
        () => request.destroy(new ExchangeError('ETIMEDOUT', 'no connection in time')),
        this.#limits.connectTimeoutMs,
      );
      const abort = () => request.destroy(new ExchangeError('ABORTED', 'aborted'));
      this.#signal.addEventListener('abort', abort, { once: true });
      request.once('socket', (socket) => {
        if (!socket.connecting) clearTimeout(connecting);
        else
          socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () =>
            clearTimeout(connecting),
          );
      });
      request.once('close', () => {
        clearTimeout(connecting);
        this.#signal.removeEventListener('abort', abort);
      });
      request.once('response', (response) => {
        this.#response = response;
        resolve(response);
      });
      request.on('error', (cause: NodeJS.ErrnoException) => {
        // The other side may close an idle connection while we take it up again. Nothing was answered, so ask once more.
        const stale = request.reusedSocket && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE');
        if (stale && mayRetry && !this.#response) this.#send(url, init, false).then(resolve, reject);
        else
          reject(
            cause instanceof ExchangeError
              ? cause
              : new ExchangeError(cause.code ?? '', cause.message, { cause }),
          );
      });
      request.setNoDelay(true);
      request.end(body);
    });
  }

  async #text(response: IncomingMessage): Promise<string> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > this.#limits.bodyLimitBytes)
        throw new ExchangeError('TOO_LARGE', 'its answer is too large');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
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
