import type { Call, CallListener, HttpClient, Inquiry } from '../http-client.js';
import { ConnectionPool } from './connection-pool.js';
import { RequestText } from './request-text.js';
import { SocketCall } from './socket-call.js';

/**
 * Requests over sockets of its own, because `node:http` costs several times as much per answer. What it cannot send, such as
 * a request over TLS, goes to another client.
 */
export class SocketClient implements HttpClient {
  readonly #texts = new RequestText();
  readonly #pool: ConnectionPool;
  readonly #other: HttpClient;

  constructor(connectTimeoutMs: number, other: HttpClient) {
    this.#pool = new ConnectionPool(connectTimeoutMs);
    this.#other = other;
  }

  send(url: URL, inquiry: Inquiry, listener: CallListener): Call {
    const request = this.#texts.of(url, inquiry);
    if (!request) return this.#other.send(url, inquiry, listener);
    const call = new SocketCall(request, listener);
    this.#pool.send(url, call);
    return call;
  }

  close(): void {
    this.#pool.close();
    this.#other.close();
  }
}
