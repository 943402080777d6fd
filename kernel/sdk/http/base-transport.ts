import type { EventBus } from '../../contracts/bus.js';
import type { Undo } from '../../contracts/effect.js';
import type { ErrorFormat, Guard, Route, Transport, WebSocketEndpoint } from '../../contracts/transport.js';
import { wrongDurations } from '../../duration.js';
import { toClientError, WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { settleWithin } from '../settle-within.js';
import { AllowedHosts } from './allowed-hosts.js';
import { BodyRoom } from './body-room.js';
import { limitOf, type TransportConfig, wrongLimits } from './config.js';
import type { Connection, ConnectionHost } from './connection.js';
import { Gate } from './gate.js';
import { corsHeaders, isLoopback, judgeOrigin, type OriginVerdict, preflightHeaders } from './origin.js';
import type { BaseReply, ReplyHost } from './reply.js';
import { checkFraming, Request, type RequestHead } from './request.js';
import { type Match, RouteTable } from './route-table.js';
import { SlowReaders } from './slow-readers.js';
import { Tally } from './tally.js';
import { basePathOf, belowBase, readingsOf } from './target.js';
import { type Forwarded, TrustedProxies } from './trusted-proxies.js';

/** The routes and endpoints of a path. */
interface Found {
  /** As routes spell it. */
  readonly path: string;
  readonly routes: Match<Route> | undefined;
  readonly endpoints: Match<WebSocketEndpoint> | undefined;
}

/** The parts of a transport that do not depend on the library below it. */
export abstract class BaseTransport implements Transport {
  protected readonly config: TransportConfig;
  protected readonly logger: Logger;
  #hosts: AllowedHosts;
  readonly #proxies = new TrustedProxies([]);
  #distrust: Undo;
  /** For requests without a trusted proxy. */
  #direct: Forwarded & { readonly basePath: string };
  /** Decides who may come in. */
  readonly access: Gate;
  readonly #routes = new RouteTable<Route>();
  readonly #endpoints = new RouteTable<WebSocketEndpoint>();
  readonly #formats = new Set<ErrorFormat>();
  readonly #room: BodyRoom;
  readonly #connecting: ConnectionHost;
  readonly #replying: { -readonly [K in keyof ReplyHost]: ReplyHost[K] };
  #closing = false;

  constructor(config: TransportConfig, logger: Logger, bus: EventBus) {
    const { stallTimeoutMs } = config;
    this.config = config;
    this.#room = new BodyRoom(config);
    this.#hosts = hostsOf(config);
    this.#distrust = this.#proxies.add(config.trustedProxies);
    this.#direct = directOf(config);
    this.logger = logger;
    const slow = new SlowReaders(stallTimeoutMs, (err) =>
      logger.error({ err }, 'looking for slow readers failed'),
    );
    this.access = new Gate(bus, logger, (isRevoked) => {
      for (const reply of [...this.#replying.replies])
        if (reply.request.principal && isRevoked(reply.request.principal)) reply.cut();
    });
    this.#connecting = {
      gate: this.access,
      addresses: new Tally(),
      config,
      logger,
      bus,
      slow,
      connections: new Set(),
      room: this.#room,
    };
    this.#replying = { logger, stallTimeoutMs, leaving: false, replies: new Set() };
  }

  abstract readonly address: Transport['address'];

  /** Takes changed values of `liveTransportKeys` over. */
  configure(): void {
    this.#hosts = hostsOf(this.config);
    void this.#distrust();
    this.#distrust = this.#proxies.add(this.config.trustedProxies);
    this.#direct = directOf(this.config);
  }

  get basePath(): string {
    return this.#direct.basePath;
  }

  get connections(): Transport['connections'] {
    return { open: this.#connecting.connections.size, limit: this.config.maxConnections };
  }

  openAt(endpoint: WebSocketEndpoint): number {
    return this.#openAt(endpoint).length;
  }

  get routes(): readonly Route[] {
    return this.#routes.values;
  }

  get endpoints(): readonly WebSocketEndpoint[] {
    return this.#endpoints.values;
  }

  route(route: Route): Undo {
    const { bodyLimitBytes } = route;
    const [why] = [...wrongDurations({ timeoutMs: route.timeoutMs }, 1), ...wrongLimits({ bodyLimitBytes })];
    if (why) throw new WaggleError('ROUTE_INVALID', { path: route.path, why });
    return this.#routes.add(route.method, route.path, route);
  }

  websocket(endpoint: WebSocketEndpoint): Undo {
    const { path, frameLimitBytes } = endpoint;
    const [why] = wrongLimits({ frameLimitBytes });
    if (why) throw new WaggleError('ROUTE_INVALID', { path, why });
    const remove = this.#endpoints.add('GET', endpoint.path, endpoint);
    return async () => {
      await remove();
      await this.#leave(this.#openAt(endpoint));
    };
  }

  errors(format: ErrorFormat): Undo {
    this.#formats.add(format);
    return () => void this.#formats.delete(format);
  }

  guard(guard: Guard): Undo {
    return this.access.guard(guard);
  }

  trustProxies(networks: readonly string[]): Undo {
    return this.#proxies.add(networks);
  }

  /** Warns of an open server, or refuses it. @throws ACCESS_REQUIRED */
  protected checkAccess(): void {
    const { host, requireAccess } = this.config;
    if (this.access.isDecided) return;
    if (requireAccess && !isLoopback(host)) throw new WaggleError('ACCESS_REQUIRED', { host });
    this.logger.warn(
      { host },
      'this server is open: users are taken at their word; an access plugin, such as access-keys, asks for credentials',
    );
  }

  /** From now on responses carry `Connection: close`. */
  drain(): void {
    this.#replying.leaving = true;
    this.access.leave();
  }

  /** The WebSockets that are open. */
  protected get webSockets(): ReadonlySet<Connection> {
    return this.#connecting.connections;
  }

  /** For native replies. */
  protected get replyHost(): ReplyHost {
    return this.#replying;
  }

  /** Closes WebSockets with 1001 after their data, and connections after their responses; bounded in time. */
  protected async closeAll(): Promise<void> {
    this.drain();
    this.#closing = true;
    const { replies } = this.#replying;
    const { closeTimeoutMs } = this.config;
    const answered = new Promise<void>((resolve) => {
      this.#replying.onIdle = resolve;
      if (replies.size === 0) resolve();
    });
    await Promise.all([
      this.#leave([...this.#connecting.connections]),
      settleWithin(answered, closeTimeoutMs),
    ]);
    for (const reply of replies) reply.cut();
  }

  /** A request whose headers have arrived, as trusted proxies describe it. */
  protected requestOf(head: RequestHead): Request {
    const { basePath, protocol } = this.#direct;
    const told = this.#proxies.read(head);
    const forwarded = told
      ? { ...told, basePath: told.basePath ?? basePath, protocol: told.protocol ?? protocol }
      : this.#direct;
    return new Request(head, forwarded);
  }

  /** The limit of frames at the endpoint of an upgrade, where that has one of its own. */
  protected frameLimitAt(request: Request): number | undefined {
    return this.#find(request).endpoints?.values.get('GET')?.frameLimitBytes;
  }

  /** Handles a request whose headers have arrived. Never throws: errors are sent and logged. */
  protected serve(request: Request, reply: BaseReply): void {
    try {
      this.#dispatch(request, reply);
    } catch (error) {
      this.#failed(error, request, reply);
    }
  }

  #dispatch(request: Request, reply: BaseReply): void {
    const { method, host } = request;
    const origin = request.header('origin');
    const verdict = judgeOrigin(origin, host, this.config.allowedOrigins);
    if (origin !== undefined && verdict === 'cross') reply.add(corsHeaders(origin));
    const { path, routes, endpoints } = this.#find(request);
    const format = this.#formatFor(path);
    if (format) reply.format = format;
    checkFraming(request);
    const refusal = this.#hosts.refusal(host);
    if (refusal) {
      reply.closeAfter();
      throw refusal;
    }
    if (this.#closing) throw new WaggleError('SHUTTING_DOWN', {});

    const upgrades = method === 'GET' && request.header('upgrade')?.toLowerCase() === 'websocket';
    // The client may send WebSocket frames already.
    if (upgrades) reply.closeAfter();
    if (endpoints && upgrades) {
      if (verdict === 'refused') throw refused();
      this.#upgrade(request, reply, endpoints);
      return;
    }
    if (!routes && !endpoints) {
      // Without a preflight answer a browser reports only a network error.
      if (format && method === 'OPTIONS') {
        this.#preflight(request, reply, verdict, 'GET, POST, OPTIONS');
        return;
      }
      throw new WaggleError('NOT_FOUND', { path: request.path.slice(0, 200) });
    }

    // A path may have routes, and take upgrades as well.
    const methods = new Map<string, unknown>([...(routes?.values ?? []), ...(endpoints?.values ?? [])]);
    const allow = [...methods.keys(), ...(methods.has('GET') ? ['HEAD'] : []), 'OPTIONS'];
    const route = routes?.values.get(method === 'HEAD' ? 'GET' : method);
    if (!route) reply.add({ allow: allow.join(', ') });
    if (method === 'OPTIONS') {
      this.#preflight(request, reply, verdict, allow.join(', '));
      return;
    }
    if (!allow.includes(method)) throw new WaggleError('METHOD_NOT_ALLOWED', { method, allow });
    if (!routes || !route) {
      reply.add({ upgrade: 'websocket' });
      throw new WaggleError('UPGRADE_REQUIRED', { path: request.path });
    }
    if (verdict === 'refused' && method !== 'GET' && method !== 'HEAD') throw refused();

    request.params = routes.params;
    reply.expire(route.timeoutMs ?? this.config.requestTimeoutMs);
    const { access = 'user', path: named } = route;
    const entered = this.access.enter({ request, access, path: named });
    entered?.then(
      () => this.#handle(route, request, reply),
      (error: unknown) => this.#failed(error, request, reply, named),
    );
    // At once, because the body arrives while its user is found out.
    this.#acceptBody(request, route);
    if (!entered) this.#handle(route, request, reply);
  }

  #handle(route: Route, request: Request, reply: BaseReply): void {
    // It may have been answered while it waited for its admission.
    if (reply.sent) return;
    try {
      const result = route.handler(request, reply);
      if (result instanceof Promise)
        result.catch((error: unknown) => this.#failed(error, request, reply, route.path));
    } catch (error) {
      this.#failed(error, request, reply, route.path);
    }
  }

  /** Tries the path as sent first, because most paths are those of a route. */
  #find({ path: sent, basePath }: Request): Found {
    const found = this.#at(belowBase(sent, basePath));
    if (found.routes || found.endpoints) return found;
    const readings = readingsOf(sent, basePath).map((each) => this.#at(each));
    return readings.find(({ routes, endpoints }) => routes || endpoints) ?? (readings[0] as Found);
  }

  #at(path: string): Found {
    return { path, routes: this.#routes.match(path), endpoints: this.#endpoints.match(path) };
  }

  #formatFor(path: string): ErrorFormat | undefined {
    let found: ErrorFormat | undefined;
    for (const each of this.#formats)
      if (isBelow(path, each.path) && each.path.length > (found?.path.length ?? 0)) found = each;
    return found;
  }

  #preflight(request: Request, reply: BaseReply, verdict: OriginVerdict, allow: string): void {
    const asked = request.header('access-control-request-headers');
    reply.send(204, '', verdict === 'cross' ? preflightHeaders(allow, asked) : {});
  }

  #upgrade(request: Request, reply: BaseReply, { values, params }: Match<WebSocketEndpoint>): void {
    const endpoint = values.get('GET') as WebSocketEndpoint;
    if (request.hasBody)
      throw new WaggleError('INVALID_REQUEST', { issues: ['an upgrade to WebSocket has no body'] });
    if (request.header('sec-websocket-version') !== '13') {
      reply.add({ upgrade: 'websocket', 'sec-websocket-version': '13' });
      throw new WaggleError('UPGRADE_REQUIRED', { path: request.path });
    }
    if (!/^[A-Za-z\d+/]{22}==$/.test(request.header('sec-websocket-key') ?? ''))
      throw new WaggleError('INVALID_REQUEST', {
        issues: ['Sec-WebSocket-Key: expected 16 bytes in base64'],
      });
    request.params = params;
    const { remoteAddress } = request;
    const query = request.query.size > 0 ? request.query : undefined;
    const offered = request.header('sec-websocket-protocol')?.split(',') ?? [];
    const protocol = offered.some((each) => each.trim() === endpoint.protocol)
      ? endpoint.protocol
      : undefined;
    const { access = 'user', path, credentials } = endpoint;
    const inHandshake = credentials === 'handshake';
    const entry = this.access.enterSocket({ request, access, path, inHandshake });
    const accepted: unknown = endpoint.accept?.(request);
    // TypeScript accepts an async function here; a connection must not be open before it is accepted.
    if (accepted instanceof Promise) {
      accepted.catch(() => {});
      throw new TypeError(`accept() of ${endpoint.path} returned a promise; it must decide at once`);
    }
    // At once, because uWebSockets closes some of the connections that are upgraded outside the call that brought them.
    reply.upgrade({ host: this.#connecting, endpoint, params, query, remoteAddress, protocol, entry });
  }

  /** @throws TOO_LARGE, BODIES_FULL */
  #acceptBody(request: Request, { bodyLimitBytes, limitedBy }: Route): void {
    const length = request.header('content-length');
    const limit = limitOf('bodyLimitBytes', bodyLimitBytes, limitedBy, this.config);
    request.body.accept(limit, this.#room, length === undefined ? undefined : Number(length));
  }

  #failed(err: unknown, request: Request, reply: BaseReply, route = request.path): void {
    const { id: requestId, method } = request;
    const userId = request.principal?.id;
    // Most handlers of a client that has disconnected end with an error.
    if (request.aborted)
      this.logger.debug({ err, requestId, userId, method, route }, 'a request ended after its client');
    else if (reply.sent || toClientError(err).code === 'INTERNAL')
      this.logger.error({ err, requestId, userId, method, route }, 'handling a request failed');
    reply.fail(err);
  }

  #openAt(endpoint: WebSocketEndpoint): readonly Connection[] {
    return [...this.#connecting.connections].filter((each) => each.endpoint === endpoint);
  }

  async #leave(connections: readonly Connection[]): Promise<void> {
    const left = Promise.all(connections.map((each) => each.leave(1001, 'shutting down')));
    await settleWithin(left, this.config.closeTimeoutMs);
    for (const connection of connections) connection.destroy();
  }
}

function refused(): WaggleError {
  const why =
    'pages of this origin may not call; the config key "allowedOrigins" lists those that may, and a proxy in front of ' +
    'this server has to pass "Host" on as it came';
  return new WaggleError('FORBIDDEN', { why });
}

function isBelow(path: string, of: string): boolean {
  return path.startsWith(of) && (path.length === of.length || path[of.length] === '/');
}

function hostsOf({ host, allowedHosts }: TransportConfig): AllowedHosts {
  return new AllowedHosts([host, ...allowedHosts]);
}

function directOf({ basePath, tls }: TransportConfig): Forwarded & { readonly basePath: string } {
  return { basePath: basePathOf(basePath) as string, protocol: tls ? 'https' : 'http' };
}
