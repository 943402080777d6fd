import type { IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { timerMs } from '../../../duration.js';
import { connectTimeout, ExchangeError, parseErrorCode } from '../exchange-error.js';
import { ParseError } from './parse-error.js';
import { ResponseParser } from './response-parser.js';
import type { SocketCall } from './socket-call.js';

/** All sockets read into one buffer, so its bytes are valid only until the next read. */
const buffer = Buffer.allocUnsafeSlow(64 << 10);

const keepAliveDelayMs = 1000;

/** The pool of a connection. */
export interface ConnectionOwner {
  /** Called when a call has ended and another may follow within `idleMs`; undefined for any time. */
  onIdle(connection: Connection, idleMs: number | undefined): void;
  onClosed(connection: Connection): void;
  /** Sends a call over another connection, because this one was closed while idle. */
  resend(call: SocketCall, connection: Connection): void;
}

/** A connection to a model server, which serves one call after the other. */
export class Connection {
  readonly url: URL;
  readonly host: string;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #parser = new ResponseParser();
  #call: SocketCall | undefined;
  /** Whether it has served a call before this one. */
  #isReused = false;
  /** Whether a byte of the response has come. */
  #isAnswered = false;
  #isStopped = false;
  /** Whether this side has closed it. */
  #isGivenUp = false;
  #connecting: NodeJS.Timeout | undefined;
  #error: NodeJS.ErrnoException | undefined;

  constructor(url: URL, connectTimeoutMs: number, owner: ConnectionOwner) {
    this.url = url;
    this.host = url.host;
    this.#owner = owner;
    this.#socket = connect({
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || 80),
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveDelayMs,
      onread: { buffer, callback: (length) => this.#onRead(length) },
    });
    this.#socket
      .once('connect', () => this.#onConnect())
      .once('end', () => this.#onEnd())
      .once('close', () => this.#onClose())
      .on('error', (error) => {
        this.#error ??= error;
      });
    this.#connecting = setTimeout(() => {
      this.#socket.destroy(connectTimeout());
    }, timerMs(connectTimeoutMs));
  }

  /** Sends a call while no other is under way. */
  send(call: SocketCall): void {
    this.#call = call;
    this.#isAnswered = false;
    call.sentOver(this);
    this.#parser.begin();
    if (this.#isReused) this.#socket.ref();
    if (!this.#connecting) call.onConnected();
    const { text = '', bytes } = call.request ?? {};
    if (!bytes) return void this.#socket.write(text);
    this.#socket.cork();
    this.#socket.write(text);
    this.#socket.write(bytes);
    this.#socket.uncork();
  }

  /** Whether another call can be sent. */
  get isOpen(): boolean {
    return this.#socket.writable;
  }

  resume(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#socket.resume();
  }

  destroy(): void {
    this.#isGivenUp = true;
    this.#socket.destroy();
  }

  #onConnect(): void {
    clearTimeout(this.#connecting);
    this.#connecting = undefined;
    this.#call?.onConnected();
  }

  /** Returns whether to read on. */
  #onRead(length: number): boolean {
    const call = this.#call;
    if (!call) {
      // Bytes that nobody has asked for would be taken for the next response.
      this.#socket.destroy();
      return false;
    }
    const parser = this.#parser;
    this.#isAnswered = true;
    let isWhole = false;
    let fault: ParseError | undefined;
    try {
      isWhole = parser.push(buffer, length);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      fault = error;
    }
    if (parser.isSwitch) return this.#fail(new ExchangeError('REDIRECT', 'it switches to another protocol'));
    if (parser.hasHead && !call.hasResponse) call.onHead(parser.status, parser.headers);
    const { from, to } = parser.body;
    if (to > from) call.onBytes(buffer.subarray(from, to));
    if (this.#socket.destroyed) return false;
    if (fault) {
      // A response that has begun is lost, whatever the reason.
      const code = call.hasResponse ? 'ECONNRESET' : parseErrorCode(fault.code, buffer.subarray(0, length));
      return this.#fail(new ExchangeError(code, fault.message, { cause: fault }));
    }
    if (parser.isComplete) return this.#complete(call, isWhole);
    this.#isStopped = call.isPaused;
    return !this.#isStopped;
  }

  #complete(call: SocketCall, isWhole: boolean): boolean {
    this.#call = undefined;
    const idleMs = idleTimeIn(call.headers);
    const isKept = isWhole && this.#parser.keepAlive && this.#socket.writableLength === 0 && idleMs !== 0;
    if (isKept) {
      this.#isReused = true;
      this.#socket.unref();
      this.#owner.onIdle(this, idleMs);
    } else this.#socket.destroy();
    call.onComplete();
    return isKept;
  }

  #fail(error: ExchangeError): false {
    this.#socket.destroy();
    this.#call?.onLost(error);
    return false;
  }

  #onEnd(): void {
    const call = this.#call;
    if (call && this.#parser.end()) {
      this.#call = undefined;
      call.onComplete();
    }
    this.#socket.destroy();
  }

  #onClose(): void {
    clearTimeout(this.#connecting);
    this.#owner.onClosed(this);
    const call = this.#call;
    if (!call) return;
    this.#call = undefined;
    const code = this.#error?.code ?? 'ECONNRESET';
    // The server may close an idle connection while we take it up again. Nothing was answered, so ask once more.
    const isStale = this.#isReused && !this.#isAnswered && (code === 'ECONNRESET' || code === 'EPIPE');
    if (isStale && !this.#isGivenUp) return void this.#owner.resend(call, this);
    call.onLost(this.#lossOf(call, code));
    call.onClosed();
  }

  #lossOf(call: SocketCall, code: string): Error {
    const cause = this.#error;
    if (cause instanceof ExchangeError) return cause;
    const isUnanswered = code === 'ECONNRESET' && !call.hasResponse;
    const message = cause?.message ?? 'the connection was closed before the end';
    return new ExchangeError(isUnanswered ? 'UNANSWERED' : code, message, { cause });
  }
}

/** How long a server keeps an idle connection, less a second for the way; undefined where it does not say. */
function idleTimeIn({ 'keep-alive': header }: IncomingHttpHeaders): number | undefined {
  const seconds = typeof header === 'string' ? /^timeout=(\d+)/.exec(header)?.[1] : undefined;
  return seconds === undefined ? undefined : Math.max(0, Number(seconds) - 1) * 1000;
}
