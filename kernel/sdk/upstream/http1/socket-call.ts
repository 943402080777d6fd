import type { IncomingHttpHeaders } from 'node:http';
import { aborted } from '../exchange-error.js';
import type { Call, CallListener } from '../http-client.js';
import type { BodySink, UpstreamResponse } from '../response.js';
import type { Connection } from './connection.js';
import type { RequestParts } from './request-text.js';

/** Limit of the bytes that are held for a body that is not read yet. */
const heldLimitBytes = 64 << 10;

/** One request over a `Connection`, and its response. */
export class SocketCall implements Call, UpstreamResponse {
  statusCode = 0;
  headers: IncomingHttpHeaders = {};
  hasResponse = false;
  isOver = false;
  isPaused = false;
  /** The request; undefined once it has been answered. */
  request: RequestParts | undefined;
  readonly #listener: CallListener;
  #connection: Connection | undefined;
  #sink: BodySink | undefined;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #isComplete = false;
  #error: Error | undefined;

  constructor(request: RequestParts, listener: CallListener) {
    this.request = request;
    this.#listener = listener;
  }

  /** Called for each connection that it is sent over. */
  sentOver(connection: Connection): void {
    this.#connection = connection;
  }

  onConnected(): void {
    this.#listener.onConnected();
  }

  onHead(status: number, headers: IncomingHttpHeaders): void {
    this.statusCode = status;
    this.headers = headers;
    this.hasResponse = true;
    this.request = undefined;
    this.#listener.onResponse(this);
  }

  /** The bytes are valid only during the call. */
  onBytes(bytes: Uint8Array): void {
    if (this.#sink) return void this.#sink.onBytes(bytes);
    this.#held.push(Buffer.from(bytes));
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > heldLimitBytes) this.isPaused = true;
  }

  /** The connection serves other calls from now on, or ends. */
  onComplete(): void {
    this.#connection = undefined;
    this.#isComplete = true;
    this.isOver = true;
    this.#sink?.onEnd();
    this.#listener.onOver();
  }

  /** The connection was lost, or is about to close. */
  onLost(error: Error): void {
    if (this.#error) return;
    this.#error = error;
    if (this.hasResponse) this.#sink?.onError(error);
    else this.#listener.onFailure(error);
  }

  /** The connection has closed before the response was complete. */
  onClosed(): void {
    this.#connection = undefined;
    this.isOver = true;
    this.#listener.onOver();
  }

  read(sink: BodySink): void {
    const held = this.#held;
    this.#sink = sink;
    this.#held = [];
    this.isPaused = false;
    if (held.length > 0) sink.onBytes(held.length === 1 ? (held[0] as Uint8Array) : Buffer.concat(held));
    if (this.#isComplete) sink.onEnd();
    else if (this.#error) sink.onError(this.#error);
    else if (!this.isPaused) this.resume();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.#connection?.resume();
  }

  discard(): void {
    this.#sink = deaf;
    this.#held = [];
    this.resume();
  }

  abort(): void {
    if (this.isOver) return;
    this.#connection?.destroy();
    this.onLost(aborted());
  }
}

const deaf: BodySink = { onBytes() {}, onEnd() {}, onError() {} };
