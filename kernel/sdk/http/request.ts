import type { Principal } from '../../contracts/access.js';
import type { HttpRequest } from '../../contracts/transport.js';
import { WaggleError } from '../../errors.js';
import { randomId } from '../random-id.js';
import { plainAddress } from './address.js';
import { Body, type Reading } from './body.js';
import { targetOf } from './target.js';
import type { Forwarded } from './trusted-proxies.js';

/** The head of a request, as a native layer gives it. */
export interface RequestHead {
  readonly method: string;
  /** The path, or the whole target as `http://host/path`. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  /** Names in lower case; values of a repeated header joined with `, `. */
  readonly headers: ReadonlyMap<string, string>;
  readonly remoteAddress: string;
}

/** One request, copied from the native layer. */
export class Request implements HttpRequest {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly remoteAddress: string;
  readonly basePath: string;
  /** The address of the connection itself. */
  readonly peerAddress: string;
  /** Set by the gate. */
  principal: Principal | undefined;
  /** Host that the client has called, with its port. */
  readonly host: string | undefined;
  readonly body = new Body();
  /** Set when a route is found. */
  params: Readonly<Record<string, string>> = {};
  readonly #head: RequestHead;
  readonly #protocol: 'http' | 'https';
  #query: URLSearchParams | undefined;
  #abort: AbortController | undefined;
  #reason: unknown;

  constructor(head: RequestHead, forwarded: Forwarded = {}) {
    const id = head.headers.get('x-request-id');
    this.id = id && /^[\w.~-]{1,128}$/.test(id) ? id : randomId();
    this.method = head.method;
    const { path, host = head.headers.get('host') } = targetOf(head.path);
    this.path = path;
    this.host = forwarded.host ?? host;
    this.basePath = forwarded.basePath ?? '';
    this.peerAddress = plainAddress(head.remoteAddress);
    this.remoteAddress = forwarded.remoteAddress ?? this.peerAddress;
    this.#protocol = forwarded.protocol ?? 'http';
    this.#head = head;
    if (!this.hasBody) this.body.end();
  }

  get origin(): string {
    return `${this.#protocol}://${this.host}`;
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.#head.query);
    return this.#query;
  }

  // Created lazily: most handlers respond at once.
  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#reason !== undefined) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }

  /** Whether its headers announce a body. */
  get hasBody(): boolean {
    const length = this.header('content-length');
    return (length !== undefined && length !== '0') || this.header('transfer-encoding') !== undefined;
  }

  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  header(name: string): string | undefined {
    return this.#head.headers.get(name.toLowerCase());
  }

  json(depthLimit?: number): Promise<unknown> {
    return this.body.json({ ...this.#encoding, depthLimit });
  }

  text(): Promise<string> {
    return this.body.text(this.#encoding);
  }

  get #encoding(): Reading {
    return { contentType: this.header('content-type'), contentEncoding: this.header('content-encoding') };
  }

  /** Aborts the signal: the response is no longer wanted. */
  abort(reason: Error): void {
    this.#reason ??= reason;
    this.body.fail(reason);
    this.#abort?.abort(reason);
  }
}

/** Adds a header to a map, joining repeated ones. */
export function addHeader(headers: Map<string, string>, name: string, value: string): void {
  const earlier = headers.get(name);
  headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
}

/** Refuses ambiguous framing, against request smuggling. @throws INVALID_REQUEST */
export function checkFraming(request: Request): void {
  const coding = request.header('transfer-encoding');
  const length = request.header('content-length');
  const issues: string[] = [];
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || length !== undefined))
    issues.push('Transfer-Encoding: expected "chunked", and no Content-Length beside it');
  else if (length !== undefined && !/^\d+$/.test(length)) issues.push('Content-Length: expected one number');
  if (issues.length > 0) throw new WaggleError('INVALID_REQUEST', { issues });
}
