import uWS from 'uWebSockets.js';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { messageOf, type Transport, WaggleError } from '#kernel';
import {
  addHeader,
  BaseTransport,
  type Certificate,
  frameHardLimitBytes,
  plainAddress,
  type RequestHead,
  ServerCertificate,
  TcpLimit,
} from '#sdk/http';
import type { UserData } from './connection.js';
import { GluedRequests } from './glued-requests.js';
import { listen, listenBeside, listenShared } from './listen.js';
import { peersOf } from './peers.js';
import { UwsReply } from './reply.js';
import { SpareDescriptor } from './spare-descriptor.js';

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
  #isRefusing = false;
  #listening: { readonly socket: uWS.us_listen_socket; readonly address: Transport['address'] } | undefined;
  readonly #spare = new SpareDescriptor(this.logger);

  get address(): Transport['address'] {
    return this.#listening?.address;
  }

  /** @throws LISTEN_FAILED, TLS_UNUSABLE, ACCESS_REQUIRED */
  async listen(): Promise<void> {
    const { host, port } = this.config;
    this.checkAccess();
    this.#tcp.measure();
    const certificate = this.#certificate?.read();
    const app = this.#appWith(certificate);
    this.#apps.push(app);
    const socket = await (certificate ? listenShared : listen)(app, host, port);
    const tls = certificate && { tls: true };
    this.#listening = { socket, address: { host, port: uWS.us_socket_local_port(socket), ...tls } };
    this.#spare.hold();
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
    if (!before) return;
    const { host, port } = before.address as { readonly host: string; readonly port: number };
    const socket = await listenBeside(app, host, port);
    // A stop may have come meanwhile.
    if (this.#listening !== before) {
      uWS.us_listen_socket_close(socket);
      return;
    }
    uWS.us_listen_socket_close(before.socket);
    this.#apps.push(app);
    this.#listening = { ...before, socket };
  }

  #appWith(certificate: Certificate | undefined): uWS.TemplatedApp {
    const { idleTimeoutS } = this.config;
    return newApp(certificate)
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
  }

  async close(): Promise<void> {
    if (!this.#listening) return;
    uWS.us_listen_socket_close(this.#listening.socket);
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
