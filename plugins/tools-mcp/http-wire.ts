import type { JSONRPCMessage, Transport, TransportSendOptions } from '@modelcontextprotocol/client';
import { boundedFetch } from './bounded-fetch.js';
import { type Fault, lostMark } from './fault.js';
import type { Packages } from './packages.js';
import type { Wire, WireEvents } from './wire.js';

/** The address of a server, and the limit of its messages. */
export interface HttpTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly messageLimitBytes: number;
}

type Id = string | number;

/** A pause before the stream for notifications is opened again, and how often in a row that is tried. */
const reopening = {
  initialReconnectionDelay: 1000,
  reconnectionDelayGrowFactor: 1.5,
  maxReconnectionDelay: 10_000,
  maxRetries: 2,
};
const endSessionMs = 1000;

/**
 * Streamable HTTP. The package leaves a request alone whose stream ends without a response; here it gets an error at once.
 */
export class HttpWire implements Wire {
  readonly hasPerRequestStream = true;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport['onmessage']>;
  readonly #inner: InstanceType<Packages['client']['StreamableHTTPClientTransport']>;
  /** Requests without a response. */
  readonly #open = new Set<Id>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #tooLarge: Fault | undefined;
  #isClosed = false;

  constructor({ url, headers, messageLimitBytes }: HttpTarget, { client }: Packages, events: WireEvents) {
    const news = {
      tooLarge: (fault: Fault) => {
        this.#tooLarge = fault;
      },
      streamGone: () => {
        if (!this.#isClosed) events.lost('the stream of its notifications ended');
      },
    };
    this.#inner = new client.StreamableHTTPClientTransport(new URL(url), {
      requestInit: { headers },
      fetch: boundedFetch(messageLimitBytes, news),
      reconnectionOptions: reopening,
      reconnectionScheduler: (reconnect, delayMs) => this.#later(reconnect, delayMs),
    });
    this.#inner.onclose = () => this.onclose?.();
    this.#inner.onerror = (error) => this.onerror?.(error);
    this.#inner.onmessage = (message) => {
      if (isResponse(message)) this.#open.delete(message.id as Id);
      this.onmessage?.(events.received(message));
    };
  }

  get sessionId(): string | undefined {
    return this.#inner.sessionId;
  }

  setProtocolVersion(version: string): void {
    this.#inner.setProtocolVersion(version);
  }

  start(): Promise<void> {
    return this.#inner.start();
  }

  async send(message: JSONRPCMessage, options: TransportSendOptions = {}): Promise<void> {
    const id = 'method' in message && 'id' in message ? message.id : undefined;
    if (id === undefined) {
      if ('method' in message && message.method === 'notifications/cancelled')
        this.#open.delete((message.params as { readonly requestId: Id }).requestId);
      return this.#send(message, options);
    }
    this.#open.add(id);
    options.requestSignal?.addEventListener('abort', () => this.#open.delete(id), { once: true });
    const onRequestStreamEnd = () => {
      options.onRequestStreamEnd?.();
      this.#giveUp(id);
    };
    try {
      await this.#send(message, { ...options, onRequestStreamEnd });
    } catch (error) {
      this.#open.delete(id);
      throw error;
    }
  }

  /** Ends the session, where there is one and the server answers soon, and all streams. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    const isLate = new Promise((resolve) => {
      const timer = setTimeout(resolve, endSessionMs);
      this.#inner
        .terminateSession()
        .catch(() => {})
        .finally(() => {
          clearTimeout(timer);
          resolve(undefined);
        });
    });
    if (this.sessionId !== undefined) await isLate;
    await this.#inner.close();
    this.#open.clear();
  }

  #send(message: JSONRPCMessage, options: TransportSendOptions): Promise<void> {
    return (this.#inner as Transport).send(message, options);
  }

  #giveUp(id: Id): void {
    if (!this.#open.delete(id)) return;
    const { message } = this.#tooLarge ?? { message: 'the connection ended' };
    const data = { [lostMark]: this.#tooLarge === undefined };
    this.#tooLarge = undefined;
    this.onmessage?.({ jsonrpc: '2.0', id, error: { code: -32000, message, data } });
  }

  #later(step: () => void, delayMs: number): () => void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      step();
    }, delayMs);
    this.#timers.add(timer);
    return () => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
  }
}

function isResponse(message: JSONRPCMessage): message is JSONRPCMessage & { readonly id?: Id } {
  return !('method' in message);
}
