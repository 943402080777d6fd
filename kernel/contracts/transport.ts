import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { ClientErrorCode, WaggleError } from '../errors.js';
import type { Undo } from '../scope.js';
import { createToken } from '../services.js';
import type { ReadableListener } from './readable.js';

/** One HTTP request, copied out of the native layer before anything asynchronous happens. */
export interface HttpRequest {
  /** From `X-Request-Id` where that is 1 to 128 characters of `A-Z a-z 0-9 . _ ~ -`, else made. Goes back in the same header. */
  readonly id: string;
  readonly method: string;
  /** As sent, without the query. */
  readonly path: string;
  /** The parts of the path that the route names, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** `https://chat.example.com`: scheme and host as the client has called them, as far as trusted proxies tell. */
  readonly origin: string;
  /** Stands before every path that goes back to the client: `/waggle` where this server is reached below that, else `''`. */
  readonly basePath: string;
  /** The client's address, as far as trusted proxies tell; an IPv4 address never comes in its IPv6 form. */
  readonly remoteAddress: string;
  /** Aborts when the client is gone or the deadline has passed. */
  readonly signal: AbortSignal;
  header(name: string): string | undefined;
  /** The body as JSON, 32 levels deep unless its reader takes more. @throws UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, TOO_DEEP, INVALID_JSON */
  json(depthLimit?: number): Promise<unknown>;
}

/** Header values by name. */
export type Headers = Readonly<Record<string, string>>;

/** A body in parts of which each is there at once or not yet. Where thousands of answers are under way, no part costs a promise. */
export interface BodyParts {
  /** What there is now, `''` while there is nothing; undefined after the end. What it throws ends the answer. */
  take(): string | undefined;
  /** Calls back when there is something to take. */
  onReadable(listener: ReadableListener): void;
  /** More headers, asked for once when the first part is there. */
  headers?(): Headers;
  /** Nobody takes any more. */
  return(): Promise<unknown>;
}

/** The one answer to a request. Whatever is sent after the client has gone is dropped. */
export interface HttpResponse {
  /** True once an answer was begun. */
  readonly sent: boolean;
  json(status: number, body: unknown, headers?: Headers): void;
  send(status: number, body: string | Uint8Array, headers: Headers): void;
  /**
   * Sends parts as they come, one write each, and waits for a slow client between them. Headers leave with the first
   * part. Resolves at the end, or when the client has gone or was cut off as too slow; `parts` is closed in each case.
   */
  stream(status: number, headers: Headers, parts: AsyncIterable<string> | BodyParts): Promise<void>;
}

/** One answer of a route. */
export interface ResponseDocs {
  readonly description: string;
  /** The body by media type; for an event stream and for lines of JSON, each event or line. */
  readonly content: Readonly<Record<string, StandardSchemaV1>>;
}

/** What the documents at `/docs` tell of a route; only schemas that can say themselves as JSON Schema show there. */
export interface RouteDocs {
  readonly summary: string;
  /** Objects with one property for each parameter. */
  readonly params?: StandardSchemaV1;
  readonly query?: StandardSchemaV1;
  readonly headers?: StandardSchemaV1;
  readonly body?: StandardSchemaV1;
  /** By status. */
  readonly responses: Readonly<Record<number, ResponseDocs>>;
  /** @deprecated Read where there are no `responses`. */
  readonly answers?: Readonly<Record<number, ResponseDocs>>;
  /** What a body with an error looks like, where it is not as everywhere else. */
  readonly error?: StandardSchemaV1;
  /** What it may throw. What the transport refuses by itself needs no mention, nor do mistakes in the body. */
  readonly errors?: readonly ClientErrorCode[];
}

/** What the documents at `/docs` tell of a WebSocket endpoint. */
export interface EndpointDocs {
  readonly summary: string;
  readonly description?: string;
  /** An object with one property for each name in the path. */
  readonly params?: StandardSchemaV1;
  /** Frames by their `type`. */
  readonly receives: Readonly<Record<string, StandardSchemaV1>>;
  readonly sends: Readonly<Record<string, StandardSchemaV1>>;
  /** What `accept` may throw. */
  readonly errors?: readonly ClientErrorCode[];
}

/** One method of one path. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /**
   * `/chat/stream/{stream_id}`: a name in braces stands for one whole segment; with a star, as in `/models/{id*}`, for all
   * that is left, slashes included, also where they are encoded.
   */
  readonly path: string;
  /** How long the handler may take to begin its answer; the transport's own limit when absent. */
  readonly timeoutMs?: number;
  readonly docs?: RouteDocs;
  /** What it throws is answered: a client error by its code, anything else as `INTERNAL`. */
  handler(request: HttpRequest, reply: HttpResponse): void | Promise<void>;
}

/** How an error is answered. */
export interface ErrorAnswer {
  readonly status: number;
  /** Sent as JSON. */
  readonly body: unknown;
  readonly headers?: Headers;
}

/** The errors of one part of the server, in its own words: for clients that expect those of another server. */
export interface ErrorFormat {
  /** `/v1`: everything below it, also where nothing is. */
  readonly path: string;
  format(error: WaggleError<ClientErrorCode>, request: HttpRequest): ErrorAnswer;
}

/** One WebSocket connection. */
export interface Socket {
  readonly id: string;
  readonly params: Readonly<Record<string, string>>;
  readonly remoteAddress: string;
  readonly closed: boolean;
  /** What was sent and has not left the process. */
  readonly bufferedBytes: number;
  /**
   * Sends text frames together. They are taken in any case; `false` means: wait for `drained` before the next ones. A
   * connection that takes nothing for too long is closed with 4429. After the close it does nothing.
   */
  send(frames: string | readonly string[]): boolean;
  /** Resolves with true when there is room again, with false when the connection has closed. */
  drained(): Promise<boolean>;
  close(code: number, reason: string): void;
}

/**
 * What an endpoint does with one connection. A message handler that fails is logged, and that is all: its connection goes on,
 * and its client is told nothing, because only the endpoint knows in which words. Where `open` fails it is closed with 1011.
 */
export interface SocketHandler {
  message(text: string): void | Promise<void>;
  /** A frame over the limit, which is not to be parsed: it can be answered. Without this the connection closes with 1009. */
  tooLarge?(text: string, limitBytes: number): void;
  /** Called once, also when the endpoint or the transport stops. `code` is 1006 where the peer said nothing. */
  closed?(code: number): void;
}

/** One path that speaks WebSocket. */
export interface WebSocketEndpoint {
  /** As a route's path: `/ws/{client_id}`. */
  readonly path: string;
  readonly docs?: EndpointDocs;
  /** The sub-protocol that is chosen where a client offers it; any other offer is left unanswered. */
  readonly protocol?: string;
  /** Refuses an upgrade by throwing a client error; it is answered over HTTP. At once: a promise refuses as well. */
  accept?(request: Pick<HttpRequest, 'params' | 'query' | 'header' | 'remoteAddress'>): void;
  open(socket: Socket): SocketHandler;
}

/** HTTP and WebSockets on one port. */
export interface Transport {
  /** Undone: the path answers 404 again; requests under way go on. @throws ROUTE_INVALID, ROUTE_CONFLICT */
  route(route: Route): Undo;
  /** Undone: its connections close with 1001, after what was sent. @throws ROUTE_INVALID, ROUTE_CONFLICT */
  websocket(endpoint: WebSocketEndpoint): Undo;
  /** Errors below a path are answered as `format` says, those of the transport itself included. Undone: as everywhere else. */
  errors(format: ErrorFormat): Undo;
  /** What is registered at this moment. */
  readonly routes: readonly Route[];
  readonly endpoints: readonly WebSocketEndpoint[];
  /** Where it listens; undefined while it does not. */
  readonly address: { readonly host: string; readonly port: number } | undefined;
  /** The path below which it is reached from outside: `/waggle`, or `''`. */
  readonly basePath: string;
  readonly connections: { readonly open: number; readonly limit: number };
  /** How many WebSockets are open at one of `endpoints`. Counts them, so it is for those who ask now and then. */
  openAt(endpoint: WebSocketEndpoint): number;
}

/** Provided by the plugin that owns the port. */
export const Transport = createToken<Transport>('transport');
