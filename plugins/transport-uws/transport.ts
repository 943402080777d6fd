import uWS from 'uWebSockets.js';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type EventBus,
  type Logger,
  messageOf,
  type Shards,
  type SharedPort,
  type Transport,
  type Undo,
  WaggleError,
  type WebSocketEndpoint,
} from '#kernel';
import {
  addHeader,
  BaseTransport,
  type Certificate,
  frameHardLimitBytes,
  plainAddress,
  type Request,
  type RequestHead,
  ServerCertificate,
  TcpLimit,
  type TransportConfig,
} from '#sdk/http';
import type { UserData } from './connection.js';
import { GluedRequests } from './glued-requests.js';
import { listen, listenBeside, listenShared } from './listen.js';
import { peersOf } from './peers.js';
import { UwsReply } from './reply.js';
import { SpareDescriptor } from './spare-descriptor.js';

/** How long a reader of published frames goes unwatched at most. */
const lookMs = 100;

interface Listening {
  readonly socket: uWS.us_listen_socket;
  /** The port of the config, which may be 0. */
  readonly asked: number;
  readonly address: Transport['address'];
  /** Of a port that other processes listen on as well. */
  readonly shared: SharedPort | undefined;
}

/** A transport on uWebSockets.js. The only place that passes functions to it, because an error in them could end the process. */
export class UwsTransport extends BaseTransport {
  readonly #certificate = this.config.tls && new ServerCertificate(this.config.tls, this.logger);
  /** The last one listens. The others, each with an earlier certificate, keep their connections. */
  readonly #apps: uWS.TemplatedApp[] = [];
  readonly #glued = new GluedRequests();
  readonly #tcp = new TcpLimit(this.config, this.logger, {
    webSockets: () => this.#sockets,
    addresses: () => this.#peers(),
  });
  #sockets = 0;
  /** Native limits of frames of endpoints that take larger ones than the others, by ascending size. */
  readonly #wide: number[] = [];
  /** The upgrade that the current call is about, once one route has passed it on to the next. */
  #passedOn: Request | undefined;
  #isRefusing = false;
  #listening: Listening | undefined;
  #isAccepting = false;
  readonly #shards: Shards | undefined;
  readonly #spare = new SpareDescriptor(this.logger);
  /** Since the last look at the readers. */
  #publishedBytes = 0;
  #look: NodeJS.Timeout | undefined;

  constructor(config: TransportConfig, logger: Logger, bus: EventBus, shards?: Shards) {
    super(config, logger, bus);
    this.#shards = shards;
  }

  get address(): Transport['address'] {
    return this.#listening?.address;
  }

  /** @throws LISTEN_FAILED, TLS_UNUSABLE, ACCESS_REQUIRED */
  async listen(): Promise<void> {
    const { host, port } = this.config;
    this.checkAccess();
    this.#tcp.measure();
    this.#apps.push(this.#appWith(this.#certificate?.read()));
    this.#listening = await this.#listenAt(host, port);
    this.#isAccepting = true;
    this.#spare.hold();
  }

  async #listenAt(host: string, port: number): Promise<Listening> {
    const app = this.#apps.at(-1) as uWS.TemplatedApp;
    const shared = await this.#shards?.reserve(host, port);
    const alone = this.#certificate ? listenShared : listen;
    const listening = shared ? listenBeside(app, host, shared.port) : alone(app, host, port);
    const socket = await listening.catch((error: unknown) => {
      shared?.release();
      throw error;
    });
    const tls = this.#certificate && { tls: true };
    const address = { host, port: uWS.us_socket_local_port(socket), ...tls };
    return { socket, asked: port, address, shared };
  }

  /** Listens on the port of the config, where that is another one now; connections stay. @throws LISTEN_FAILED */
  async moveToPort(): Promise<void> {
    const before = this.#listening;
    const { host, port } = this.config;
    if (!before || !this.#isAccepting || before.asked === port) return;
    const next = await this.#listenAt(host, port);
    // A stop may have come meanwhile.
    const isCurrent = this.#listening === before && this.#isAccepting;
    const former = isCurrent ? before : next;
    uWS.us_listen_socket_close(former.socket);
    former.shared?.release();
    if (isCurrent) this.#listening = next;
  }

  override websocket(endpoint: WebSocketEndpoint): Undo {
    const undo = super.websocket(endpoint);
    const limitBytes = nativeLimitBytes(endpoint.frameLimitBytes ?? 0);
    if (limitBytes > Math.max(this.#nativeLimitBytes, ...this.#wide)) {
      this.#wide.push(limitBytes);
      const app = this.#apps.at(-1);
      if (app) this.#widen(app, limitBytes);
    }
    return undo;
  }

  publish(channel: string, frame: string): void {
    for (const app of this.#apps) app.publish(channel, frame);
    this.#publishedBytes += Buffer.byteLength(frame);
    if (this.#publishedBytes >= this.config.highWaterMarkBytes) this.#lookAtReaders();
    else this.#look ??= setTimeout(() => this.#lookAtReaders(), lookMs).unref();
  }

  /** Finds those that do not read what is published, of which the native layer tells nothing. */
  #lookAtReaders(): void {
    clearTimeout(this.#look);
    this.#look = undefined;
    this.#publishedBytes = 0;
    for (const connection of this.webSockets) connection.published();
  }

  /** Reads the certificate again. */
  async reload(): Promise<void> {
    await this.#certificate?.reload((next) => this.#replace(next));
  }

  /** uWebSockets has no way to change a certificate: another app takes the port over. */
  async #replace(certificate: Certificate): Promise<void> {
    const app = this.#appWith(certificate);
    // Connections that have arrived are accepted first.
    await nextTurn();
    const before = this.#listening;
    if (!before || !this.#isAccepting) return;
    const { host, port } = before.address as { readonly host: string; readonly port: number };
    const socket = await listenBeside(app, host, port);
    // A stop may have come meanwhile.
    if (this.#listening !== before || !this.#isAccepting) {
      uWS.us_listen_socket_close(socket);
      return;
    }
    uWS.us_listen_socket_close(before.socket);
    this.#apps.push(app);
    this.#listening = { ...before, socket };
  }

  #appWith(certificate: Certificate | undefined): uWS.TemplatedApp {
    const app = newApp(certificate)
      .filter((res, count) => this.#count(res, count as number))
      .ws('/*', this.#webSocketsUpTo(this.#nativeLimitBytes))
      .any('/*', (res, req) => this.#accept(res, req, undefined));
    for (const limitBytes of this.#wide) this.#widen(app, limitBytes);
    return app;
  }

  /**
   * Native limits hold for all WebSockets of a native route. Endpoints of larger frames have routes of their own, which
   * come before `/*` and pass on to it what is not for them; a second route of the same pattern would replace the first.
   */
  #widen(app: uWS.TemplatedApp, limitBytes: number): void {
    for (const pattern of ['/:segment', '/:segment/*', '//*'])
      app.ws(pattern, {
        ...this.#webSocketsUpTo(limitBytes),
        upgrade: (res, req, context) => {
          try {
            const request = this.#passedOn ?? this.requestOf(headOf(res, req));
            const neededBytes = nativeLimitBytes(this.frameLimitAt(request) ?? 0);
            const isForThis = neededBytes > this.#nativeLimitBytes && neededBytes <= limitBytes;
            this.#passedOn = isForThis ? undefined : request;
            if (isForThis) return this.#accept(res, req, context, request);
          } catch {
            // The next route fails as well, and answers.
          }
          req.setYield(true);
        },
      });
  }

  #webSocketsUpTo(maxPayloadLength: number): uWS.WebSocketBehavior<UserData> {
    return {
      idleTimeout: this.config.idleTimeoutS,
      sendPingsAutomatically: true,
      compression: uWS.DISABLED,
      maxPayloadLength,
      maxBackpressure: 2 ** 31 - 1,
      upgrade: (res, req, context) => {
        const request = this.#passedOn;
        this.#passedOn = undefined;
        this.#accept(res, req, context, request);
      },
      open: (ws) => {
        this.#tcp.leave();
        this.#sockets++;
        ws.getUserData().connection.attach(ws);
      },
      message: (ws, data, isBinary) => ws.getUserData().connection.receive(Buffer.from(data), isBinary),
      drain: (ws) => ws.getUserData().connection.progressed(),
      close: (ws, code) => {
        this.#sockets--;
        ws.getUserData().connection.ended(code);
      },
    };
  }

  get #nativeLimitBytes(): number {
    return nativeLimitBytes(this.config.frameLimitBytes);
  }

  /** New connections go to the other shards, where there are any. */
  override drain(): void {
    super.drain();
    if (this.#shards) setImmediate(() => this.#stopAccepting());
  }

  #stopAccepting(): void {
    if (!this.#listening || !this.#isAccepting) return;
    this.#isAccepting = false;
    uWS.us_listen_socket_close(this.#listening.socket);
    this.#listening.shared?.release();
  }

  async close(): Promise<void> {
    clearTimeout(this.#look);
    if (!this.#listening) return;
    this.#stopAccepting();
    this.#listening = undefined;
    this.#spare.release();
    await this.closeAll();
    // Responses of this turn are sent at its end.
    await nextTurn();
    for (const app of this.#apps) app.close();
  }

  /** Counts a new (1) or closed (-1) connection, except for those that became WebSockets. */
  #count(res: uWS.HttpResponse, count: number): void {
    this.#glued.closed();
    if (this.#isRefusing) return;
    if (count < 0) {
      this.#tcp.leave();
      return;
    }
    if (!this.#spare.mustRefuse() && this.#tcp.enter(() => addressOf(res))) return;
    this.#isRefusing = true;
    // Over TLS nothing can be said before the handshake.
    if (this.#certificate) res.close();
    else
      res.cork(() =>
        res.writeStatus('503 Service Unavailable').writeHeader('retry-after', '1').end('', true),
      );
    this.#isRefusing = false;
  }

  #peers(): readonly string[] | undefined {
    const peers = peersOf(this.address?.port ?? 0, this.#shards !== undefined);
    if (!peers) return undefined;
    const webSockets = new Map<string, number>();
    for (const { remoteAddress } of this.webSockets)
      webSockets.set(remoteAddress, (webSockets.get(remoteAddress) ?? 0) + 1);
    return peers.filter((address) => {
      const left = webSockets.get(address) ?? 0;
      webSockets.set(address, left - 1);
      return left <= 0;
    });
  }

  #accept(
    res: uWS.HttpResponse,
    req: uWS.HttpRequest,
    context: uWS.us_socket_context_t | undefined,
    known?: Request,
  ): void {
    let reply: UwsReply | undefined;
    let aborted = false;
    res.onAborted(() => {
      aborted = true;
      reply?.aborted();
    });
    try {
      const request = known ?? this.requestOf(headOf(res, req));
      if (this.#glued.has(request)) {
        // An immediate close would lose the previous response.
        setImmediate(() => aborted || res.close());
        return;
      }
      reply = new UwsReply(res, request, this.replyHost, this.#glued, context);
      if (request.hasBody) reply.readBody();
      this.serve(request, reply);
    } catch (err) {
      this.logger.error({ err }, 'accepting a request failed');
      if (reply) reply.cut();
      else res.close();
    }
  }
}

/** The native limit of a message: it closes without a reason, so ours apply first and give one. */
function nativeLimitBytes(frameLimitBytes: number): number {
  return 2 * frameHardLimitBytes(frameLimitBytes);
}

/** @throws TLS_UNUSABLE for files that Node.js accepts and the native layer does not */
function newApp(certificate: Certificate | undefined): uWS.TemplatedApp {
  if (!certificate) return uWS.App();
  const { certFile, keyFile } = certificate.files;
  try {
    return uWS.SSLApp({ cert_file_name: certFile, key_file_name: keyFile });
  } catch (cause) {
    throw new WaggleError('TLS_UNUSABLE', { certFile, keyFile, why: messageOf(cause) }, { cause });
  }
}

/** Copies the head, because the native request is only valid during the call. */
function headOf(res: uWS.HttpResponse, req: uWS.HttpRequest): RequestHead {
  const headers = new Map<string, string>();
  req.forEach((name, value) => {
    addHeader(headers, name, value);
  });
  return {
    method: req.getCaseSensitiveMethod(),
    path: req.getUrl(),
    query: req.getQuery(),
    headers,
    remoteAddress: addressOf(res),
  };
}

function addressOf(res: uWS.HttpResponse): string {
  return plainAddress(Buffer.from(res.getRemoteAddressAsText()).toString());
}
