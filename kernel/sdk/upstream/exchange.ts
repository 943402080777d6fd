import {
  type ClientRequest,
  type Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { timerMs } from '../../duration.js';
import { decoded } from './decoded.js';
import { faultInBody, faultOf } from './fault.js';
import { ModelError } from './pieces.js';
import { retryAfterMs } from './retry-after.js';

/** Limits of one exchange. */
export interface ExchangeLimits {
  readonly connectTimeoutMs: number;
  /** Size limit of a body that is not streamed. */
  readonly bodyLimitBytes: number;
  /** Called when a connection is established. */
  readonly onConnected?: () => void;
}

/** The connection failed, or the response was unusable. `code` is that of Node.js where there is one. */
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

// Time for the end of a response to follow its last line, so that the connection can be reused.
const lingerMs = 250;

/** First byte of a TLS alert record. */
const tlsAlert = 21;

/** Method, headers and body of a request. */
export interface Inquiry {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * One request to a model server with its response, over `node:http`, because global fetch costs three times as much per
 * token. An abort of the signal closes the connection at once.
 */
export class Exchange {
  readonly #agent: HttpAgent;
  readonly #limits: ExchangeLimits;
  readonly #signal: AbortSignal;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #body: Readable | undefined;

  constructor(agent: HttpAgent, limits: ExchangeLimits, signal: AbortSignal) {
    this.#agent = agent;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** Resolves with the head of the response; `body` and `text` read the rest. @throws ExchangeError, also for redirects */
  async send(url: URL, inquiry: Inquiry = {}): Promise<IncomingMessage> {
    const response = await this.#send(url, inquiry, true);
    const { statusCode: status = 0 } = response;
    if (status >= 300 && status < 400) {
      response.destroy();
      throw new ExchangeError('REDIRECT', `it redirects (status ${status})`);
    }
    return response;
  }

  /** The body as a stream, decompressed. @throws ExchangeError */
  async body(response: IncomingMessage): Promise<Readable> {
    const body = await decoded(response);
    if (body === undefined) throw new ExchangeError('ENCODING', 'its answer is compressed in an unknown way');
    this.#body = body;
    return body;
  }

  /** The error in a response with a status of 400 or more. @throws ExchangeError */
  async refusal(response: IncomingMessage, model?: string): Promise<ModelError> {
    const { statusCode: answered = 0, headers } = response;
    // The status counts even where the body is lost or too long.
    const body = await this.text(response).catch(() => '');
    this.#signal.throwIfAborted();
    const { message, code, status } = body.trim() === '' ? faultOf(`status ${answered}`) : faultInBody(body);
    return new ModelError(message, {
      code,
      // Servers that relay the error of another server use 500 for everything.
      status: answered === 500 ? (status ?? answered) : answered,
      model,
      retryAfterMs: retryAfterMs(headers),
    });
  }

  /** The whole body, within the limit, decompressed. @throws ExchangeError */
  async text(response: IncomingMessage): Promise<string> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of (await this.body(response)) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > this.#limits.bodyLimitBytes)
        throw new ExchangeError('TOO_LARGE', 'its answer is too large');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
  }

  /** Ends the exchange. A complete response returns its connection to the pool; any other connection is closed before this resolves. */
  async close(over: boolean): Promise<void> {
    const { socket } = this.#request ?? {};
    const request = this.#request;
    if (this.#body && this.#body !== this.#response) {
      this.#response?.unpipe();
      this.#body.destroy();
    }
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

  #send(url: URL, inquiry: Inquiry, mayRetry: boolean): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      this.#signal.throwIfAborted();
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const { method = 'GET', headers, body } = inquiry;
      const request = send(url, {
        method,
        agent: this.#agent,
        headers: {
          ...headers,
          ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
        },
      });
      this.#request = request;
      const connecting = setTimeout(
        () => request.destroy(new ExchangeError('ETIMEDOUT', 'no connection in time')),
        timerMs(this.#limits.connectTimeoutMs),
      );
      const abort = () => request.destroy(new ExchangeError('ABORTED', 'aborted'));
      this.#signal.addEventListener('abort', abort, { once: true });
      const connected = () => {
        clearTimeout(connecting);
        this.#limits.onConnected?.();
      };
      request.once('socket', (socket) => {
        if (!socket.connecting) connected();
        else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', connected);
      });
      let hasFailed = false;
      request.once('close', () => {
        clearTimeout(connecting);
        this.#signal.removeEventListener('abort', abort);
        // Node tells of no error where an answer is of another protocol.
        if (!hasFailed) reject(new ExchangeError('REDIRECT', 'it switches to another protocol'));
      });
      request.once('response', (response) => {
        this.#response = response;
        resolve(response);
      });
      request.on('error', (cause: NodeJS.ErrnoException) => {
        hasFailed = true;
        // The other side may close an idle connection while we take it up again. Nothing was answered, so ask once more.
        const stale = request.reusedSocket && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE');
        if (stale && mayRetry && !this.#response) this.#send(url, inquiry, false).then(resolve, reject);
        else
          reject(
            cause instanceof ExchangeError
              ? cause
              : new ExchangeError(
                  this.#response || url.protocol === 'https:' ? codeOf(cause) : codeOf(cause, 'UNANSWERED'),
                  cause.message,
                  { cause },
                ),
          );
      });
      request.setNoDelay(true);
      request.end(body);
    });
  }
}

/**
 * A server that expects TLS answers plain HTTP with an alert, which the HTTP parser rejects, or closes the connection,
 * which gets the code `unanswered`.
 */
function codeOf({ code = '', ...about }: NodeJS.ErrnoException, unanswered = code): string {
  const { rawPacket } = about as { readonly rawPacket?: Uint8Array };
  if (code === 'ECONNRESET') return unanswered;
  return code.startsWith('HPE_') && rawPacket?.[0] === tlsAlert ? 'SECURED' : code;
}

/** Whether the status is 2xx. */
export function isOk({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}
