import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { ClientErrorCode, WaggleError } from '../errors.js';
import { createToken } from '../services.js';
import type { Principal } from './access.js';
import type { Undo } from './effect.js';
import type { ReadableListener } from './readable.js';

/** One HTTP request, copied out of the native layer before anything asynchronous happens. */
export interface HttpRequest {
  /** A valid `X-Request-Id` (1 to 128 characters of `A-Z a-z 0-9 . _ ~ -`), else a new id. Sent back in the same header. */
  readonly id: string;
  readonly method: string;
  /** As sent, without the query. */
  readonly path: string;
  /** The named parts of the path, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** `https://chat.example.com`: scheme and host as the client used them, according to trusted proxies. */
  readonly origin: string;
  /** Prefix of every path sent to the client: `/waggle` for a server below that path, else `''`. */
  readonly basePath: string;
  /** The client's address, according to trusted proxies; an IPv4 address never has its IPv6 form. */
  readonly remoteAddress: string;
  /** The user that the credentials prove; undefined in an open server and on public routes. */
  readonly principal?: Principal | undefined;
  /** Aborts when the client is gone or the deadline has passed. */
  readonly signal: AbortSignal;
  header(name: string): string | undefined;
  /**
   * The body as JSON, at most 32 levels deep by default; a further call gives the same value, until the response begins.
   * @throws UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, BODIES_FULL, TOO_DEEP, INVALID_JSON
   */
  json(depthLimit?: number): Promise<unknown>;
  /** The body as text, of `text/plain` as well. @throws UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, INVALID_JSON if it is not UTF-8 */
  text(): Promise<string>;
}

/** Header values by name. */
export type Headers = Readonly<Record<string, string>>;

/** A body whose parts are pulled as they become available. No part costs a promise, because thousands of responses may be open. */
export interface BodyParts {
  /** The available part, `''` when there is none; undefined after the end. A throw ends the response. */
  take(): string | undefined;
  /** Registers the callback for the next available part. */
  onReadable(listener: ReadableListener): void;
  /** Further headers, read once before the first part is sent. */
  headers?(): Headers;
  /** Ends the body early or after its end. */
  return(): Promise<unknown>;
}

/** The response to a request. Data sent after the client has disconnected is dropped. */
export interface HttpResponse {
  /** True once the response has begun. */
  readonly sent: boolean;
  json(status: number, body: unknown, headers?: Headers): void;
  send(status: number, body: string | Uint8Array, headers: Headers): void;
  /**
   * Sends parts as they come, one write each, and waits for a slow client between them. Headers leave with the first
   * part. Resolves at the end, or when the client has disconnected or was cut off as too slow; `parts` is always closed.
   */
  stream(status: number, headers: Headers, parts: AsyncIterable<string> | BodyParts): Promise<void>;
}

/** One documented response of a route. */
export interface ResponseDocs {
  readonly description: string;
  /** The body by media type; for an event stream and for lines of JSON, each event or line. */
  readonly content: Readonly<Record<string, StandardSchemaV1>>;
}

/** Documentation of a route for `/docs`, which shows only schemas with a JSON Schema. */
export interface RouteDocs {
  readonly summary: string;
  /** Objects with one property for each parameter. */
  readonly params?: StandardSchemaV1;
  readonly query?: StandardSchemaV1;
  readonly headers?: StandardSchemaV1;
  readonly body?: StandardSchemaV1;
  /** By status. */
  readonly responses: Readonly<Record<number, ResponseDocs>>;
  /** @deprecated `responses` */
  readonly answers?: Readonly<Record<number, ResponseDocs>>;
  /** The body of an error, if it is not the usual one. */
  readonly error?: StandardSchemaV1;
  /** Errors of the handler, apart from an invalid body and those of the transport itself. */
  readonly errors?: readonly ClientErrorCode[];
}

/** Documentation of a WebSocket endpoint for `/docs`. */
export interface EndpointDocs {
  readonly summary: string;
  readonly description?: string;
  /** An object with one property for each name in the path. */
  readonly params?: StandardSchemaV1;
  readonly query?: StandardSchemaV1;
  /** Frames by their `type`. */
  readonly receives: Readonly<Record<string, StandardSchemaV1>>;
  readonly sends: Readonly<Record<string, StandardSchemaV1>>;
  /** The body of a refused upgrade, if it is not the usual one. */
  readonly error?: StandardSchemaV1;
  /** Errors of `accept`. */
  readonly errors?: readonly ClientErrorCode[];
}

/** Callers of a route: anyone, users, or users with the scope `admin`. In an open server all three mean anyone. */
export type RouteAccess = 'public' | 'user' | 'admin';

/** One method of one path. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /**
   * `/chat/stream/{stream_id}`: a name in braces matches one whole segment; with a star, as in `/models/{id*}`, the rest of
   * the path, including slashes, encoded or not.
   */
  readonly path: string;
  /** `user` when absent. */
  readonly access?: RouteAccess;
  /** Limit for the handler to begin its response; that of the transport when absent. */
  readonly timeoutMs?: number;
  /** Limit of the body, before and after decompression; that of the transport when absent. */
  readonly bodyLimitBytes?: number;
  /** The plugin whose config sets `bodyLimitBytes`, under that key; a refusal names it. */
  readonly limitedBy?: string;
  readonly docs?: RouteDocs;
  /** A client error that it throws is sent with its code, any other as `INTERNAL`. */
  handler(request: HttpRequest, reply: HttpResponse): void | Promise<void>;
}

/** The response to an error. */
export interface ErrorAnswer {
  readonly status: number;
  /** Sent as JSON; a text as it is, with the content type in `headers`. */
  readonly body: unknown;
  readonly headers?: Headers;
}

/** The format of errors below a path, for clients that expect the format of another server. */
export interface ErrorFormat {
  /** `/v1`: this path and all below it, also those without a route; of several formats that of the longest path. */
  readonly path: string;
  /** Undefined for the usual format. */
  format(error: WaggleError<ClientErrorCode>, request: HttpRequest): ErrorAnswer | undefined;
}

/** One WebSocket connection. */
export interface Socket {
  readonly id: string;
  readonly params: Readonly<Record<string, string>>;
  /** Of the upgrade; undefined where it had none. */
  readonly query?: URLSearchParams | undefined;
  readonly remoteAddress: string;
  /** The user that the credentials prove; undefined in an open server and at public endpoints. */
  readonly principal?: Principal | undefined;
  readonly closed: boolean;
  /** Bytes that were sent and have not left the process. */
  readonly bufferedBytes: number;
  /**
   * Sends text frames together. They are always accepted; `false` means: wait for `drained` before the next ones. A
   * connection whose peer reads nothing for too long is closed with 4429. Does nothing after the close.
   */
  send(frames: string | readonly string[]): boolean;
  /** Resolves with true once there is room, or with false once the connection has closed. */
  drained(): Promise<boolean>;
  /** Joins or leaves a channel of `publish`. Frames arrive in the order of `send` and `publish`. */
  subscribe?(channel: string): void;
  unsubscribe?(channel: string): void;
  /**
   * Replaces the credentials by newer ones of the same user; undefined in an open server. Bad ones close the connection with
   * 4401, those of another user with 4403. @throws UNAUTHORIZED, FORBIDDEN
   */
  authenticate?(token: string): Promise<Principal | undefined>;
  close(code: number, reason: string): void;
}

/**
 * Handlers of one connection. An error of `message` is logged and nothing more: the connection stays open, and only the
 * endpoint knows how to report it to its client. An error of `open` closes the connection with 1011.
 */
export interface SocketHandler {
  message(text: string): void | Promise<void>;
  /**
   * A frame over the limit, to be answered and not to be parsed. `key` says where the limit is set. Without this method the
   * connection closes with 1009.
   */
  tooLarge?(text: string, limitBytes: number, key?: string): void;
  /** Called once, also when the endpoint or the transport stops. `code` is 1006 without a close frame of the peer. */
  closed?(code: number): void;
}

/** A WebSocket endpoint at one path. */
export interface WebSocketEndpoint {
  /** As a route's path: `/ws/{client_id}`. */
  readonly path: string;
  /** `user` when absent. A client without credentials sends them as its first frame: `{"type":"auth","token":"…"}`. */
  readonly access?: RouteAccess;
  /** `handshake`: an upgrade without credentials is refused with 401, as clients of other servers expect. */
  readonly credentials?: 'handshake' | 'frame';
  readonly docs?: EndpointDocs;
  /** The sub-protocol to select if a client offers it; any other offer is ignored. */
  readonly protocol?: string;
  /** Limit of a frame from a client; that of the transport when absent. */
  readonly frameLimitBytes?: number;
  /** The plugin whose config sets `frameLimitBytes`, under that key; a refusal names it. */
  readonly limitedBy?: string;
  /** Throws a client error to refuse an upgrade, which is sent over HTTP. Synchronous: a promise refuses as well. */
  accept?(request: Pick<HttpRequest, 'params' | 'query' | 'header' | 'remoteAddress'>): void;
  /** Called once the user is known. */
  open(socket: Socket): SocketHandler;
}

/** A request or an upgrade on its way to its handler. The body is not read. */
export interface GuardedRequest {
  readonly request: Omit<HttpRequest, 'json'>;
  readonly access: RouteAccess;
  /** As routes and endpoints spell it. */
  readonly path: string;
  readonly kind: 'request' | 'upgrade';
}

/** A condition for all requests and upgrades besides `access`. Throws, or rejects with, a client error to refuse one. */
export type Guard = (guarded: GuardedRequest) => void | Promise<void>;

/** HTTP and WebSockets on one port. Routes, endpoints and error formats end with the plugin that added them. */
export interface Transport {
  /** Undone, the path responds with 404 again; requests under way go on. @throws ROUTE_INVALID, ROUTE_CONFLICT */
  route(route: Route): Undo;
  /** Undone, its connections close with 1001, after all data sent. @throws ROUTE_INVALID, ROUTE_CONFLICT */
  websocket(endpoint: WebSocketEndpoint): Undo;
  /** Formats errors below a path, including those of the transport itself. */
  errors(format: ErrorFormat): Undo;
  /** Adds a condition, which is asked once the user is known. */
  guard(guard: Guard): Undo;
  /** Trusts the forwarding headers of further proxies, given as addresses or networks: `10.0.0.0/8`. */
  trustProxies(networks: readonly string[]): Undo;
  /** Registered at this moment. */
  readonly routes: readonly Route[];
  readonly endpoints: readonly WebSocketEndpoint[];
  /** The address that it listens on; undefined while it does not. */
  readonly address: { readonly host: string; readonly port: number; readonly tls?: boolean } | undefined;
  /** The path of this server from outside: `/waggle`, or `''`. */
  readonly basePath: string;
  readonly connections: { readonly open: number; readonly limit: number };
  /** Sends a text frame to all sockets that have subscribed to the channel; the same limits hold for slow readers as with `send`. */
  publish?(channel: string, frame: string): void;
  /** The number of open WebSockets at one of `endpoints`. Counts them on each call. */
  openAt(endpoint: WebSocketEndpoint): number;
}

/** Provided by the plugin that owns the port. */
export const Transport = createToken<Transport>('transport', {
  route: ({ method, path }) => ({ kind: 'route', name: `${method} ${path}`, label: `${method} ${path}` }),
  websocket: ({ path }) => ({ kind: 'route', name: `WS ${path}`, label: `WS ${path}` }),
  errors: ({ path }) => ({ kind: 'errors', name: path, label: `errors of ${path}` }),
  guard: () => ({ kind: 'guard', name: 'guard' }),
  trustProxies: (networks) => ({ kind: 'proxies', name: networks.join(', ') }),
});

declare module './bus.js' {
  interface KernelEvents {
    /** Asks for files, such as certificates, to be read again. */
    'server:reload': Readonly<Record<never, never>>;
  }
}
