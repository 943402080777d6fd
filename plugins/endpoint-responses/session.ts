import {
  type ClientErrorCode,
  closeCode,
  type Socket,
  type SocketHandler,
  toClientError,
  WaggleError,
} from '#kernel';
import { checkUnexpired, RateLimit } from '#sdk';
import { openAiError, openAiErrorObject } from '#sdk/dialect';
import { ConnectionMemory } from './connection-memory.js';
import { Delivery } from './delivery.js';
import { type ClientFrame, readFrame } from './frames.js';
import type { LiveResponse } from './live-response.js';
import { itemsOf, readBody } from './request.js';
import { readItem } from './responses.js';
import type { SessionHost } from './sockets.js';

/** Close codes of a client that says goodbye. Others, as 4401 for expired credentials, are no wish of the client. */
const goodbyes: ReadonlySet<number> = new Set([closeCode.normal, closeCode.goingAway, closeCode.noStatus]);

interface InFlight {
  live?: LiveResponse;
  delivery?: Delivery;
  /** It was cancelled before it had begun. */
  isCancelled?: boolean;
}

/** One connection of a client, with one response at a time. */
export class ResponseSession implements SocketHandler {
  readonly #socket: Socket;
  readonly #host: SessionHost;
  /** The response in flight: being prepared, or delivered. */
  #current: InFlight | undefined;
  #memoryIfAny: ConnectionMemory | undefined;
  readonly #rate: RateLimit;
  readonly #age: NodeJS.Timeout;
  #isOld = false;
  #bad = 0;

  constructor(socket: Socket, host: SessionHost) {
    this.#socket = socket;
    this.#host = host;
    this.#rate = new RateLimit(host.config.maxFramesPerSecond, performance.now());
    this.#age = setTimeout(() => this.#expire(), host.config.connectionAgeMs);
  }

  /** Whether no response is in flight. */
  get idle(): boolean {
    return this.#current === undefined;
  }

  async message(text: string): Promise<void> {
    if (!this.#rate.take(performance.now())) return this.#tooMany();
    try {
      const frame = readFrame(text);
      this.#bad = 0;
      await this.#handle(frame);
    } catch (error) {
      this.#refuse(error);
    }
  }

  tooLarge(_text: string, limitBytes: number, key?: string): void {
    if (!this.#rate.take(performance.now())) this.#tooMany();
    else this.#refuse(new WaggleError('TOO_LARGE', { limitBytes, key }));
  }

  /** A client that says goodbye wants no more of its response; any other may come back for it. */
  closed(code: number): void {
    clearTimeout(this.#age);
    const { live, delivery } = this.#current ?? {};
    delivery?.leave();
    this.#host.onClosed(this);
    if (live && !live.head.body.background && goodbyes.has(code)) void live.run.reply.cancel('disconnected');
  }

  #handle(frame: ClientFrame): Promise<void> | void {
    switch (frame.type) {
      case 'response.create':
        return this.#create(frame.body);
      case 'waggle:resume':
        return this.#resume(frame.response_id, frame.starting_after ?? undefined);
      case 'waggle:cancel':
        return this.#cancel(frame.response_id ?? undefined);
    }
  }

  async #create({ generate, ...json }: Readonly<Record<string, unknown>>): Promise<void> {
    const place = this.#takePlace();
    let live: LiveResponse | undefined;
    try {
      const { principal, id: connection } = this.#socket;
      const { responses, limits } = this.#host;
      if (principal) {
        checkUnexpired(principal);
        await limits?.request(principal);
      }
      const body = await readBody(json);
      const { previous_response_id: previous } = body;
      const before = previous ? await responses.chain(previous, principal, this.#memory) : [];
      const input = await responses.resolved(itemsOf(body), before, principal);
      if (this.#socket.closed) return;
      const isWarmUp = generate === false;
      const asker = { headers: {}, principal, connection, onDisconnect: 'continue' as const, isWarmUp };
      live = await responses.start(body, before, input, asker);
      this.#deliver(live);
      if (place.isCancelled) void live.run.reply.cancel('client');
    } finally {
      if (!live) this.#giveUp();
    }
  }

  async #resume(id: string, after: number | undefined): Promise<void> {
    this.#takePlace();
    let live: LiveResponse | undefined;
    try {
      live = await this.#host.responses.live(id, this.#socket.principal);
      if (!live) throw new WaggleError('RESPONSE_UNKNOWN', { responseId: id.slice(0, 200) });
      this.#deliver(live, after);
    } finally {
      if (!live) this.#giveUp();
    }
  }

  async #cancel(id: string | undefined): Promise<void> {
    const current = this.#current;
    if (id === undefined && current && !current.live) {
      // Both frames came together: it has no id yet, and ends once it has one.
      current.isCancelled = true;
      return;
    }
    const { responses } = this.#host;
    const live = id === undefined ? current?.live : await responses.live(id, this.#socket.principal);
    const receipt = await live?.run.reply.cancel('client');
    if (!receipt) throw new WaggleError('RESPONSE_UNKNOWN', { responseId: id?.slice(0, 200) ?? 'in flight' });
  }

  /** Nothing is delivered in the place that was taken. */
  #giveUp(): void {
    this.#current = undefined;
    this.#host.onDelivered();
  }

  /** @throws BUSY */
  #takePlace(): InFlight {
    if (this.#current) throw new WaggleError('BUSY', { limit: 1, what: 'responses on one connection' });
    this.#current = {};
    return this.#current;
  }

  #deliver(live: LiveResponse, after?: number): void {
    const delivery = new Delivery(this.#socket, live, after, (error) => {
      this.#current = undefined;
      this.#host.onDelivered();
      if (error) this.#refuse(error);
      else if (live.head.body.store === false) this.#remember(live, delivery);
      // Without a word its client would wait for events.
      if (after !== undefined && after >= delivery.lastNumber && !error && !this.#socket.closed)
        this.#refuse(new WaggleError('INVALID_REQUEST', { issues: [pastTheEnd(delivery.lastNumber)] }));
      if (this.#isOld) this.#close();
    });
    this.#current = { live, delivery };
    delivery.readable();
  }

  #remember({ head, items }: LiveResponse, { response }: Delivery): void {
    if (this.#socket.closed) return;
    const output = (response.output as readonly object[]).map(readItem);
    this.#memory.keep(head.id, [...items, ...output]);
  }

  get #memory(): ConnectionMemory {
    this.#memoryIfAny ??= new ConnectionMemory(this.#host.config.connectionMemoryChars);
    return this.#memoryIfAny;
  }

  #expire(): void {
    this.#isOld = true;
    if (!this.#current) this.#close();
  }

  #close(): void {
    const message = 'this connection has reached its age limit; connect again';
    const code = 'websocket_connection_limit_reached';
    this.#send(400, { type: 'invalid_request_error', code, message, param: null });
    // Clients connect again by themselves after this code, not after a normal close.
    this.#socket.close(closeCode.goingAway, message);
  }

  #refuse(cause: unknown): void {
    const error = toClientError(cause);
    if (error.code === 'INTERNAL') this.#host.logger.error({ err: cause }, 'a frame could not be handled');
    const { status } = openAiError(error, undefined);
    const worded = openAiErrorObject(error).error;
    this.#send(status, { ...worded, code: codes[error.code] ?? worded.code });
    // Only frames that are not JSON count: their client speaks another protocol.
    this.#bad = error.code === 'INVALID_JSON' ? this.#bad + 1 : 0;
    if (this.#bad >= this.#host.config.maxBadFrames)
      this.#socket.close(closeCode.badFrames, 'too many frames that cannot be read');
  }

  #tooMany(): void {
    this.#socket.close(closeCode.policyViolation, 'too many frames');
  }

  #send(status: number, error: ReturnType<typeof openAiErrorObject>['error']): void {
    const { code, message, param } = error;
    this.#socket.send(JSON.stringify({ type: 'error', status, code, message, param, error }));
  }
}

/** Codes of this connection for errors that mean something else elsewhere. */
const codes: Partial<Record<ClientErrorCode, string>> = { BUSY: 'response_already_in_flight' };

function pastTheEnd(number: number): string {
  return `starting_after: the response has ended with number ${number}`;
}
