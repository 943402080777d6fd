import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import {
  type EventBus,
  type Logger,
  messageOf,
  type Shards,
  type SharedPort,
  type Transport,
  type Undo,
  WaggleError,
} from '#kernel';
import { every } from '#sdk';
import {
  addHeader,
  BaseTransport,
  busyAnswer,
  type Certificate,
  frameHardLimitBytes,
  type Opening,
  plainAddress,
  type RequestHead,
  ServerCertificate,
  TcpLimit,
  type TransportConfig,
} from '#sdk/http';
import { NodeConnection } from './connection.js';
import { linger } from './linger.js';
import { isWebSocket, serveWithoutUpgrade } from './plain-request.js';
import { NodeReply } from './reply.js';

const settings = {
  headersTimeout: 10_000,
  // The pace of a body and the time of its route end before: a telephone needs minutes for a picture.
  requestTimeout: 30 * 60_000,
  connectionsCheckingInterval: 2000,
  // Checked here, with our own response.
  requireHostHeader: false,
  // Of TLS.
  handshakeTimeout: 10_000,
};

export class NodeTransport extends BaseTransport {
  readonly #certificate = this.config.tls && new ServerCertificate(this.config.tls, this.logger);
  /** With TLS, of `node:https`. */
  readonly #server: Server = this.config.tls ? createTlsServer(settings) : createServer(settings);
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    // The automatic pongs end a connection after some sixty pings in one read.
    autoPong: false,
    // Missing in the typings: the time for a peer to confirm a close.
    ...{ closeTimeout: 4000 },
    // Our own limit, the same in all transports, applies first.
    maxPayload: frameHardLimitBytes(this.config.frameLimitBytes),
    // Never simply the first one, which is often a token and would be sent back.
    handleProtocols: () => this.#protocol ?? false,
  });
  /** Protocol of the current upgrade. */
  #protocol: string | undefined;
  readonly #connections = new Set<NodeConnection>();
  /** Connections other than WebSockets, by their peers: over TLS, those of requests are objects of their own. */
  readonly #sockets = new Map<string, Socket>();
  readonly #tcp = new TcpLimit(this.config, this.logger, {
    webSockets: () => this.#connections.size,
    addresses: () => [...this.#sockets.values()].map((socket) => plainAddress(socket.remoteAddress ?? '')),
  });
  /** Connections that end with a response under way. */
  readonly #leaving = new WeakSet<Duplex>();
  /** Unfinished responses of each connection. */
  readonly #unanswered = new WeakMap<Duplex, Set<ServerResponse>>();
  #stopProbing: Undo | undefined;
  readonly #shards: Shards | undefined;
  /** Of a port that other processes listen on as well. */
  #shared: SharedPort | undefined;

  constructor(config: TransportConfig, logger: Logger, bus: EventBus, shards?: Shards) {
    super(config, logger, bus);
    this.#shards = shards;
  }

  get address(): Transport['address'] {
    const address = this.#server.address() as AddressInfo | null;
    const tls = this.config.tls && { tls: true };
    return address ? { host: this.config.host, port: address.port, ...tls } : undefined;
  }

  /** @throws LISTEN_FAILED, TLS_UNUSABLE, ACCESS_REQUIRED */
  async listen(): Promise<void> {
    const { host, port } = this.config;
    for (const event of ['request', 'checkExpectation', 'checkContinue'] as const)
      this.#server.on(event, (req, res) => {
        this.#trackUntilAnswered(req.socket, res);
        this.#accept(req, res, undefined);
        // A body that is refused by its length must not come at all.
        if (event === 'checkContinue' && !res.headersSent && !res.destroyed) res.writeContinue();
      });
    this.#server.on('connection', (socket) => this.#admit(socket));
    this.#server.on(this.config.tls ? 'secureConnection' : 'connection', (socket) => this.#endQueued(socket));
    this.#server.on('upgrade', (req, socket, head) => {
      // The connection still belongs to the previous request until that has its response.
      if (this.#unanswered.get(socket)?.size) socket.destroy();
      else if (isWebSocket(req)) this.#acceptUpgrade(req, socket, head);
      else serveWithoutUpgrade(this.#server, req, socket, head);
    });
    this.#webSockets.on('headers', (headers, req) =>
      headers.push(`x-request-id: ${req.headers['x-request-id']}`),
    );
    this.checkAccess();
    this.#tcp.measure();
    if (this.#certificate) this.#use(this.#certificate.read());
    this.#shared = await this.#shards?.reserve(host, port);
    // Not exclusively, the supervisor of the shards listens and hands connections out.
    const where = { host, port: this.#shared?.port ?? port, exclusive: !this.#shared };
    try {
      await once(this.#server.listen({ ...where, backlog: 512 }), 'listening');
    } catch (cause) {
      this.#shared?.release();
      const why = (cause as NodeJS.ErrnoException).code ?? messageOf(cause);
      throw new WaggleError('LISTEN_FAILED', { host, port, why }, { cause });
    }
    // Twice per timeout: one sweep pings, the next one checks.
    const probe = () => {
      for (const connection of this.#connections) connection.probe();
    };
    this.#stopProbing = every(this.config.idleTimeoutS * 500, probe, (err) =>
      this.logger.error({ err }, 'the check for dead connections failed'),
    );
  }

  /** Reads the certificate again. */
  async reload(): Promise<void> {
    await this.#certificate?.reload((next) => this.#use(next));
  }

  /** New connections go to the other shards, where there are any. */
  override drain(): void {
    super.drain();
    // That of `node:http` would also close connections on which a request may be about to come.
    if (this.#shared) NetServer.prototype.close.call(this.#server, () => {});
    this.#shared?.release();
    this.#shared = undefined;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    await this.closeAll();
    void this.#stopProbing?.();
    for (const connection of this.#connections) connection.destroy();
    this.#server.closeAllConnections();
    // Those whose handshake is under way are not among them.
    for (const socket of this.#sockets.values()) socket.destroy();
    await closed;
  }

  #use({ cert, key }: Certificate): void {
    (this.#server as TlsServer).setSecureContext({ cert, key });
  }

  #admit(socket: Socket): void {
    const peer = peerOf(socket);
    // It may have been passed back by `serveWithoutUpgrade`.
    if (this.#sockets.has(peer)) return;
    if (!this.#tcp.enter(() => plainAddress(socket.remoteAddress ?? ''))) {
      // Over TLS nothing can be said before the handshake.
      if (this.config.tls) {
        socket.destroy();
        return;
      }
      socket.end(busyAnswer);
      socket.destroySoon();
      return;
    }
    this.#sockets.set(peer, socket);
    socket.once('close', () => this.#release(peer));
  }

  /** Node.js only notifies the current response of a connection that closes, not those queued behind it. */
  #endQueued(socket: Socket): void {
    socket.once('close', () => {
      for (const res of this.#unanswered.get(socket) ?? []) if (!res.socket) res.emit('close');
    });
  }

  #release(peer: string): void {
    if (this.#sockets.delete(peer)) this.#tcp.leave();
  }

  #trackUntilAnswered(socket: Duplex, res: ServerResponse): void {
    const unanswered = this.#unanswered.get(socket) ?? new Set();
    this.#unanswered.set(socket, unanswered.add(res));
    res.once('close', () => unanswered.delete(res));
  }

  #acceptUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    // The server no longer listens to the socket, and an unhandled error would end the process.
    const ignore = () => {};
    socket.on('error', ignore);
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket as never);
    res.on('finish', () => socket.destroy());
    this.#accept(req, res, (opening) => {
      res.detachSocket(socket as never);
      socket.off('error', ignore);
      this.#protocol = opening.protocol;
      const { frameLimitBytes = this.config.frameLimitBytes } = opening.endpoint;
      this.#webSockets.options.maxPayload = frameHardLimitBytes(frameLimitBytes);
      this.#webSockets.handleUpgrade(req, socket, head, (ws) => {
        const connection = new NodeConnection(ws, socket, opening);
        this.#release(peerOf(socket as Socket));
        this.#connections.add(connection);
        ws.on('close', () => this.#connections.delete(connection));
        connection.open();
      });
    });
  }

  #accept(
    req: IncomingMessage,
    res: ServerResponse,
    upgrade: ((opening: Opening) => void) | undefined,
  ): void {
    // Node.js continues with bytes already read, even after a response that ends the connection.
    if (this.#leaving.has(req.socket)) return;
    const closing = (socket: Socket) => {
      this.#leaving.add(socket);
      linger(socket);
    };
    try {
      const request = this.requestOf(headOf(req));
      req.headers['x-request-id'] = request.id;
      this.serve(request, new NodeReply(req, res, request, this.replyHost, closing, upgrade));
    } catch (err) {
      this.logger.error({ err }, 'accepting a request failed');
      res.destroy();
    }
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function headOf(req: IncomingMessage): RequestHead {
  const { url = '/' } = req;
  const mark = url.indexOf('?');
  const headers = new Map<string, string>();
  for (let at = 0; at + 1 < req.rawHeaders.length; at += 2)
    addHeader(headers, (req.rawHeaders[at] as string).toLowerCase(), req.rawHeaders[at + 1] as string);
  return {
    method: req.method ?? 'GET',
    path: mark === -1 ? url : url.slice(0, mark),
    query: mark === -1 ? '' : url.slice(mark + 1),
    headers,
    remoteAddress: req.socket.remoteAddress ?? '',
  };
}
