import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { timerMs } from '../../duration.js';
import { aborted, connectTimeout, ExchangeError, parseErrorCode } from './exchange-error.js';
import type { Call, CallListener, HttpClient, Inquiry } from './http-client.js';
import type { BodySink, UpstreamResponse } from './response.js';
import { sentBody } from './sent-body.js';

/** Requests over `node:http` and `node:https`, whose connections are kept for the next request. */
export class NodeClient implements HttpClient {
  readonly #http = new HttpAgent({ keepAlive: true });
  readonly #https = new HttpsAgent({ keepAlive: true });

  readonly #connectTimeoutMs: number;

  constructor(connectTimeoutMs: number) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  send(url: URL, inquiry: Inquiry, listener: CallListener): Call {
    const agent = url.protocol === 'https:' ? this.#https : this.#http;
    return new NodeCall(agent, url, inquiry, this.#connectTimeoutMs, listener);
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

class NodeCall implements Call {
  readonly #agent: HttpAgent;
  readonly #url: URL;
  readonly #inquiry: Inquiry;
  readonly #connectTimeoutMs: number;
  readonly #listener: CallListener;
  #request: ClientRequest;
  #response: IncomingMessage | undefined;

  constructor(
    agent: HttpAgent,
    url: URL,
    inquiry: Inquiry,
    connectTimeoutMs: number,
    listener: CallListener,
  ) {
    this.#agent = agent;
    this.#url = url;
    this.#inquiry = inquiry;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#listener = listener;
    this.#request = this.#send(true);
  }

  get isOver(): boolean {
    return this.#response?.complete || this.#request.closed;
  }

  discard(): void {
    this.#response?.resume();
  }

  abort(): void {
    if (!this.isOver) this.#request.destroy(aborted());
  }

  #send(mayRetry: boolean): ClientRequest {
    const isSecure = this.#url.protocol === 'https:';
    const { method = 'GET', headers, body: text } = this.#inquiry;
    const body = text === undefined ? undefined : sentBody(text);
    const request = (isSecure ? httpsRequest : httpRequest)(this.#url, {
      method,
      agent: this.#agent,
      headers: { ...headers, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }) },
    });
    const connecting = setTimeout(() => request.destroy(connectTimeout()), timerMs(this.#connectTimeoutMs));
    const connected = () => {
      clearTimeout(connecting);
      this.#listener.onConnected();
    };
    request.once('socket', (socket) => {
      if (!socket.connecting) connected();
      else socket.once(isSecure ? 'secureConnect' : 'connect', connected);
    });
    let error: NodeJS.ErrnoException | undefined;
    request.once('response', (response) => {
      this.#response = response;
      this.#listener.onResponse(new NodeResponse(response));
    });
    request.on('error', (cause: NodeJS.ErrnoException) => {
      error ??= cause;
    });
    request.once('close', () => {
      clearTimeout(connecting);
      // The other side may close an idle connection while we take it up again. Nothing was answered, so ask once more.
      const isStale = request.reusedSocket && (error?.code === 'ECONNRESET' || error?.code === 'EPIPE');
      if (isStale && mayRetry && !this.#response) {
        this.#request = this.#send(false);
        return;
      }
      if (!this.#response) this.#listener.onFailure(failureOf(error, isSecure));
      this.#listener.onOver();
    });
    request.setNoDelay(true);
    request.end(body);
    return request;
  }
}

function failureOf(cause: NodeJS.ErrnoException | undefined, isSecure: boolean): Error {
  // Node.js emits no error where the response switches to another protocol.
  if (!cause) return new ExchangeError('REDIRECT', 'it switches to another protocol');
  if (cause instanceof ExchangeError) return cause;
  return new ExchangeError(codeOf(cause, isSecure), cause.message, { cause });
}

/** A server that expects TLS may close a connection without it, which gets the code `UNANSWERED`. */
function codeOf({ code = '', ...about }: NodeJS.ErrnoException, isSecure: boolean): string {
  if (code === 'ECONNRESET' && !isSecure) return 'UNANSWERED';
  return code.startsWith('HPE_')
    ? parseErrorCode(code, (about as { readonly rawPacket?: Uint8Array }).rawPacket)
    : code;
}

class NodeResponse implements UpstreamResponse {
  readonly statusCode: number;
  readonly #message: IncomingMessage;
  #isPaused = false;
  #hasEnded = false;

  constructor(message: IncomingMessage) {
    this.statusCode = message.statusCode ?? 0;
    this.#message = message;
  }

  get headers(): IncomingMessage['headers'] {
    return this.#message.headers;
  }

  read(sink: BodySink): void {
    const end = () => {
      if (this.#hasEnded) return;
      this.#hasEnded = true;
      sink.onEnd();
    };
    const fail = (error: Error) => {
      if (this.#hasEnded) return;
      this.#hasEnded = true;
      sink.onError(error);
    };
    this.#message
      .on('data', (bytes: Uint8Array) => sink.onBytes(bytes))
      .on('end', end)
      .on('error', fail)
      .on('close', () => fail(new Error('the connection was closed before the end')));
    // An empty one may be over before anyone listens.
    if (this.#message.readableEnded) end();
    else if (this.#message.destroyed) fail(new Error('the connection was closed before the end'));
  }

  pause(): void {
    this.#isPaused = true;
    this.#message.pause();
  }

  resume(): void {
    this.#isPaused = false;
    // What has come meanwhile comes as one.
    this.#message.read();
    if (!this.#isPaused) this.#message.resume();
  }
}
