import { WaggleClientError } from './error.js';
import type { ServerFrame } from './server-frame.js';
import type {
  ClientState,
  ConnectOptions,
  ReconnectOptions,
  WebSocketClass,
  WebSocketLike,
} from './types.js';

/** Close codes after which a new attempt would fail for the same reason. */
const finalCodes = new Set([1000, 1002, 1003, 1007, 1009, 1010, 4400, 4401, 4403, 4409]);

/** `ConnectOptions` with all defaults. */
export interface ConnectionSettings {
  readonly url: string;
  readonly WebSocket: WebSocketClass;
  readonly reconnect: ReconnectOptions | false;
  readonly answerTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly onState: ConnectOptions['onState'];
  readonly token: ConnectOptions['token'];
}

/** Events of a connection. */
export interface ConnectionEvents {
  /** A socket has opened, initially or after a loss. */
  opened(): void;
  received(frame: ServerFrame): void;
  closed(error: WaggleClientError): void;
}

/** One logical connection over any number of sockets. */
export class Connection {
  readonly #settings: ConnectionSettings;
  readonly #events: ConnectionEvents;
  #state: ClientState = 'connecting';
  #socket: WebSocketLike | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heard = true;
  #failures = 0;
  #closed: Promise<void> | undefined;

  constructor(settings: ConnectionSettings, events: ConnectionEvents) {
    this.#settings = settings;
    this.#events = events;
    this.#open();
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Drops the frame while disconnected; exchanges send again after `opened`. Returns its length. */
  send(frame: object): number {
    const text = JSON.stringify(frame);
    if (this.#state === 'open' || this.#state === 'draining') this.#socket?.send(text);
    return text.length;
  }

  /** Resolves when the socket is closed, in bounded time. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      const socket = this.#socket;
      this.#end(new WaggleClientError('CLOSED', 'the client was closed'));
      if (!socket) return resolve();
      const timer = setTimeout(() => {
        socket.terminate?.();
        resolve();
      }, this.#settings.answerTimeoutMs);
      socket.onclose = () => {
        clearTimeout(timer);
        resolve();
      };
      socket.close(1000);
    });
    return this.#closed;
  }

  #open(): void {
    const { url, WebSocket, answerTimeoutMs } = this.#settings;
    const socket = new WebSocket(url);
    let why = '';
    // Events of an older socket must not affect its successor.
    const ifCurrent =
      <Event>(act: (event: Event) => void) =>
      (event: Event) => {
        if (socket === this.#socket) act(event);
      };
    this.#socket = socket;
    socket.onopen = ifCurrent(() => this.#opened());
    socket.onmessage = ifCurrent(({ data }: { readonly data: unknown }) => this.#received(data));
    socket.onerror = ({ message, error }: { message?: string; error?: { code?: string } }) => {
      why = message || error?.code || '';
    };
    socket.onclose = ifCurrent(({ code, reason }: { code: number; reason: string }) =>
      this.#lost(code, reason || why),
    );
    this.#timer = setTimeout(() => this.#lost(1006, 'the server does not answer'), answerTimeoutMs);
  }

  #opened(): void {
    // The time limit of the connection covers the credentials as well.
    if (this.#settings.token === undefined) this.#ready();
    else void this.#authenticate();
  }

  /** Sends the credentials; the server answers with `auth_ok`, or closes. */
  async #authenticate(): Promise<void> {
    const socket = this.#socket;
    const { token } = this.#settings;
    try {
      const text = typeof token === 'function' ? await token() : token;
      if (socket === this.#socket) socket?.send(JSON.stringify({ type: 'auth', token: text }));
    } catch (error) {
      if (socket === this.#socket) this.#lost(1006, `no token: ${String(error)}`);
    }
  }

  #ready(): void {
    clearTimeout(this.#timer);
    this.#heard = true;
    this.#beat();
    this.#enter('open');
    this.#events.opened();
  }

  #beat(): void {
    this.#timer = setTimeout(() => {
      if (!this.#heard) return this.#lost(1006, 'the server is silent');
      this.#heard = false;
      this.send({ type: 'ping' });
      this.#beat();
    }, this.#settings.heartbeatMs);
  }

  #received(data: unknown): void {
    this.#heard = true;
    const frame = readFrame(data);
    if (!frame) return;
    if (frame.type === 'auth_ok' && this.#state !== 'open' && this.#state !== 'draining') this.#ready();
    else if (frame.type === 'auth_expiring') {
      if (typeof this.#settings.token === 'function') void this.#authenticate();
    } else if (frame.type === 'server_draining') this.#enter('draining');
    // Errors are no progress: a server that accepts, refuses and closes is not retried for ever.
    else if (frame.type !== 'error') this.#failures = 0;
    this.#events.received(frame);
  }

  #lost(closeCode: number, reason: string): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket?.terminate) socket.terminate();
    else socket?.close();
    const { attempts = 10, baseMs = 250, maxMs = 10_000 } = this.#settings.reconnect || { attempts: 0 };
    const first = this.#state === 'connecting';
    if (first || finalCodes.has(closeCode) || this.#failures >= attempts) {
      const message = `${first ? 'cannot connect' : 'connection lost'}: ${reason || closeCode}`;
      this.#end(new WaggleClientError('CONNECTION_LOST', message, { closeCode }));
    } else {
      this.#enter('reconnecting');
      const delayMs = Math.random() * Math.min(maxMs, baseMs * 2 ** this.#failures++);
      this.#timer = setTimeout(() => this.#open(), delayMs);
    }
  }

  #end(error: WaggleClientError): void {
    if (this.#state === 'closed') return;
    clearTimeout(this.#timer);
    this.#socket = undefined;
    this.#enter('closed', error);
    this.#events.closed(error);
  }

  #enter(state: ClientState, error?: WaggleClientError): void {
    if (state === this.#state) return;
    this.#state = state;
    const { onState } = this.#settings;
    // Deferred, so that the callback cannot interfere with the current step.
    if (onState) queueMicrotask(() => onState(state, error));
  }
}

function readFrame(data: unknown): ServerFrame | undefined {
  try {
    const frame = JSON.parse(String(data));
    return typeof frame?.type === 'string' ? frame : undefined;
  } catch {
    return undefined; // A gap shows in the next position.
  }
}
