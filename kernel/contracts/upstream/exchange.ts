import {
  type ClientRequest,
  type Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import { timerMs } from '../../duration.js';

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

/** What is asked. */
export interface Inquiry {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * One request to a model server and its answer, over `node:http`, because global fetch costs three times as much for each
 * token. When the signal aborts its connection is closed at once.
 */
export class Exchange {
  readonly #agent: HttpAgent;
  readonly #limits: ExchangeLimits;
  readonly #signal: AbortSignal;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;

  constructor(agent: HttpAgent, limits: ExchangeLimits, signal: AbortSignal) {
    this.#agent = agent;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** Resolves with the answer's head; its body is read by the caller, or by `text`. @throws ExchangeError, also for what no API answers: redirects and pages */
  async send(url: URL, inquiry: Inquiry = {}): Promise<IncomingMessage> {
    const response = await this.#send(url, inquiry, true);
    const { statusCode: status = 0, headers } = response;
    if (status >= 300 && status < 400) {
      response.destroy();
      throw new ExchangeError('REDIRECT', `it redirects (status ${status})`);
    }
    if (isOk(response) && /\b(html|xml)\b/.test(headers['content-type'] ?? '')) {
      response.destroy();
      throw new ExchangeError('CONTENT_TYPE', 'its answer is a page, not JSON');
    }
    return response;
  }

  /** The whole body, within the limit. @throws ExchangeError */
  async text(response: IncomingMessage): Promise<string> {
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
        if (stale && mayRetry && !this.#response) this.#send(url, inquiry, false).then(resolve, reject);
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
}

/** Whether the status says that it went well. */
export function isOk({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}
