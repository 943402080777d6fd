import uWS from 'uWebSockets.js';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { addHeader, BaseTransport, Request, type RequestHead, type Transport } from '#kernel';
import type { UserData } from './connection.js';
import { listen } from './listen.js';
import { UwsReply } from './reply.js';

/** A transport on uWebSockets.js. The only place that hands functions to it: what they throw could end the process. */
export class UwsTransport extends BaseTransport {
  readonly #app = uWS.App();
  /** The peer whose connection ends in this very moment, while the parser may still be at what it sent. */
  #leaving: string | undefined;
  /** The native parser goes on with what it has read, also behind an answer that ends the connection. */
  readonly #closing = ({ remoteAddress }: Request): void => {
    this.#leaving = remoteAddress;
    setImmediate(() => {
      this.#leaving = undefined;
    });
  };
  #listening: { readonly socket: uWS.us_listen_socket; readonly address: Transport['address'] } | undefined;

  get address(): Transport['address'] {
    return this.#listening?.address;
  }

  /** @throws LISTEN_FAILED */
  async listen(): Promise<void> {
    const { host, port, idleTimeoutS, frameLimitBytes, backlogLimitBytes } = this.config;
    this.#app
      // A connection that ends does so before the next one is read from.
      .filter(() => this.#counted())
      .ws<UserData>('/*', {
        idleTimeout: idleTimeoutS,
        sendPingsAutomatically: true,
        compression: uWS.DISABLED,
        // The native layer enforces its limits without a word; ours come first and say why.
        maxPayloadLength: 2 * frameLimitBytes,
        maxBackpressure: 2 * backlogLimitBytes + 1024 * 1024,
        upgrade: (res, req, context) => this.#take(res, req, context),
        open: (ws) => ws.getUserData().connection.attach(ws),
        message: (ws, data, isBinary) => ws.getUserData().connection.receive(Buffer.from(data), isBinary),
        drain: (ws) => ws.getUserData().connection.progressed(),
        close: (ws, code) => ws.getUserData().connection.ended(code),
      })
      .any('/*', (res, req) => this.#take(res, req, undefined));
    const socket = await listen(this.#app, host, port);
    this.#listening = { socket, address: { host, port: uWS.us_socket_local_port(socket) } };
  }

  async close(): Promise<void> {
    if (!this.#listening) return;
    uWS.us_listen_socket_close(this.#listening.socket);
    this.#listening = undefined;
    await this.closeAll();
    // What was answered in this very turn leaves at its end.
    await nextTurn();
    this.#app.close();
  }

  #counted(): void {
    this.#leaving = undefined;
  }

  #take(res: uWS.HttpResponse, req: uWS.HttpRequest, context: uWS.us_socket_context_t | undefined): void {
    let reply: UwsReply | undefined;
    let aborted = false;
    res.onAborted(() => {
      aborted = true;
      reply?.aborted();
    });
    try {
      const request = new Request(headOf(res, req), this.config.bodyLimitBytes);
      if (request.remoteAddress === this.#leaving) {
        // Glued to a request after which nothing may run. Closed at once it would take the answer to that with it.
        setImmediate(() => aborted || res.close());
        return;
      }
      reply = new UwsReply(res, request, this.replyHost, this.#closing, context);
      if (request.hasBody) reply.readBody();
      this.serve(request, reply);
    } catch (err) {
      this.logger.error({ err }, 'taking a request failed');
      if (reply) reply.cut();
      else res.close();
    }
  }
}

/** The native request lives only as long as the call that brings it. */
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
    remoteAddress: Buffer.from(res.getRemoteAddressAsText()).toString(),
  };
}
