import uWS from 'uWebSockets.js';
import { type Logger, messageOf } from '#kernel';
import { areLeft } from './descriptors.js';
import { listen } from './listen.js';

const lookMs = 1000;

/** Owns the port. Where no descriptor is left it lets go of it for a while: uWebSockets would try to accept, in vain, for ever. */
export class Listener {
  readonly #app: uWS.TemplatedApp;
  readonly #host: string;
  readonly #logger: Logger;
  #socket: uWS.us_listen_socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #port: number;
  #isClosed = false;

  constructor(app: uWS.TemplatedApp, host: string, port: number, logger: Logger) {
    this.#app = app;
    this.#host = host;
    this.#port = port;
    this.#logger = logger;
  }

  /** The one that it got where 0 was asked for. */
  get port(): number {
    return this.#port;
  }

  /** @throws LISTEN_FAILED */
  async open(): Promise<void> {
    this.#socket = await listen(this.#app, this.#host, this.#port);
    if (this.#isClosed) {
      this.#letGo();
      return;
    }
    this.#port = uWS.us_socket_local_port(this.#socket);
    this.#timer = setInterval(() => this.#look(), lookMs);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#letGo();
  }

  #look(): void {
    if (this.#socket && !areLeft(1)) {
      this.#logger.error('no file descriptors are left: connections are refused until some are');
      this.#letGo();
    } else if (!this.#socket && areLeft(3)) {
      // Not again before it is known how this went.
      clearInterval(this.#timer);
      this.open().then(
        () => this.#logger.info({ port: this.#port }, 'listening again'),
        (error: unknown) => {
          this.#logger.error({ err: error }, messageOf(error));
          if (!this.#isClosed) this.#timer = setInterval(() => this.#look(), lookMs);
        },
      );
    }
  }

  #letGo(): void {
    if (this.#socket) uWS.us_listen_socket_close(this.#socket);
    this.#socket = undefined;
  }
}
