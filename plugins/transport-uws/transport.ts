import uWS from 'uWebSockets.js';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Transport } from '#kernel';
import {
  addHeader,
  BaseTransport,
  frameHardLimitBytes,
  plainAddress,
  type RequestHead,
  TcpLimit,
} from '#sdk/http';
import type { UserData } from './connection.js';
import { GluedRequests } from './glued-requests.js';
import { listen } from './listen.js';
import { peersOf } from './peers.js';
import { UwsReply } from './reply.js';
import { SpareDescriptor } from './spare-descriptor.js';

/** A transport on uWebSockets.js. The only place that passes functions to it, because an error in them could end the process. */
export class UwsTransport extends BaseTransport {
  readonly #app = uWS.App();
  readonly #glued = new GluedRequests();
  readonly #tcp = new TcpLimit(this.config, this.logger, {
    webSockets: () => this.#sockets,
    addresses: () => this.#peers(),
  });
  #sockets = 0;
  #isRefusing = false;
  #listening: { readonly socket: uWS.us_listen_socket; readonly address: Transport['address'] } | undefined;
  readonly #spare = new SpareDescriptor(this.logger);

  get address(): Transport['address'] {
    return this.#listening?.address;
  }

  /** @throws LISTEN_FAILED */
  async listen(): Promise<void> {
    const { host, port, idleTimeoutS } = this.config;
    this.#app
      .filter((res, count) => this.#count(res, count as number))
      .ws<UserData>('/*', {
        idleTimeout: idleTimeoutS,
        sendPingsAutomatically: true,
        compression: uWS.DISABLED,
        // The native limits close without a reason; ours apply first and give one.
        maxPayloadLength: 2 * frameHardLimitBytes(this.config),
        maxBackpressure: 2 ** 31 - 1,
        upgrade: (res, req, context) => this.#accept(res, req, context),
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
      })
      .any('/*', (res, req) => this.#accept(res, req, undefined));
    this.checkAccess();
    this.#tcp.measure();
    const socket = await listen(this.#app, host, port);
    this.#listening = { socket, address: { host, port: uWS.us_socket_local_port(socket) } };
    this.#spare.hold();
  }

  async close(): Promise<void> {
    if (!this.#listening) return;
    uWS.us_listen_socket_close(this.#listening.socket);
    this.#listening = undefined;
    this.#spare.release();
    await this.closeAll();
    // Responses of this turn are sent at its end.
    await nextTurn();
    this.#app.close();
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
    res.cork(() => res.writeStatus('503 Service Unavailable').writeHeader('retry-after', '1').end('', true));
    this.#isRefusing = false;
  }

  #peers(): readonly string[] | undefined {
    const peers = peersOf(this.address?.port ?? 0);
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

  #accept(res: uWS.HttpResponse, req: uWS.HttpRequest, context: uWS.us_socket_context_t | undefined): void {
    let reply: UwsReply | undefined;
    let aborted = false;
    res.onAborted(() => {
      aborted = true;
      reply?.aborted();
    });
    try {
      const request = this.requestOf(headOf(res, req));
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
