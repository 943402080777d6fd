import { Connection, type ConnectionSettings } from './connection.js';
import { expectDurations } from './duration.js';
import { WaggleClientError } from './error.js';
import type { Exchange, Line } from './exchange.js';
import { Listeners } from './listeners.js';
import type { ServerFrame } from './server-frame.js';
import { StreamedReply } from './streamed-reply.js';
import { Task } from './task.js';
import type {
  Answer,
  ChatOptions,
  ClientEvents,
  ClientState,
  ConnectOptions,
  Reply,
  ResumeOptions,
  TaskOptions,
  WebSocketClass,
} from './types.js';

const requestIdLimit = 128;

/** A client of one server, under one client id. */
export class WaggleClient {
  readonly #connection: Connection;
  readonly #line: Line;
  /** By request id, and by the server's id once known. */
  readonly #running = new Map<string, Exchange>();
  readonly #listeners: Listeners;

  constructor(
    settings: ConnectionSettings & Pick<ConnectOptions, 'after'>,
    settled: { opened(): void; closed(error: Error): void },
  ) {
    this.#line = {
      answerTimeoutMs: settings.answerTimeoutMs,
      send: (frame) => this.#connection.send(frame),
      ended: ({ requestId, id = requestId }) => {
        this.#running.delete(requestId);
        this.#running.delete(id);
      },
    };
    this.#listeners = new Listeners(settings.after, (frame) => this.#connection.send(frame));
    this.#connection = new Connection(settings, {
      opened: () => {
        // First, because until then the server holds back what comes.
        this.#listeners.connected();
        for (const exchange of new Set(this.#running.values())) exchange.connected();
        settled.opened();
      },
      received: (frame) => this.#received(frame),
      closed: (error) => {
        for (const exchange of this.#running.values()) exchange.fail(error);
        settled.closed(error);
      },
    });
  }

  get state(): ClientState {
    return this.#connection.state;
  }

  /** Sends a request and streams the reply. While disconnected, the request waits for the next connection. */
  chat(content: string, options: ChatOptions = {}): Reply {
    const { signal: _, timeoutMs: __, onApproval: ___, tools, ...fields } = options;
    const offered = tools?.map(({ run: ____, ...tool }) => tool);
    const request = { type: 'stream_request', content, ...fields, tools: offered };
    return this.#begin(new StreamedReply(this.#line, request, options));
  }

  /** Sends a request and returns the complete reply. */
  ask(content: string, options: ChatOptions = {}): Promise<Answer> {
    return this.chat(content, options).result;
  }

  /** Resumes a reply that was started earlier or elsewhere. Its text begins at `position`. */
  resume(streamId: string, options: ResumeOptions = {}): Reply {
    return this.#begin(new StreamedReply(this.#line, {}, options, streamId));
  }

  /** Runs a task on the server and returns its output. */
  task<Output = unknown>(name: string, input: unknown, options: TaskOptions = {}): Promise<Output> {
    return this.#begin(new Task(this.#line, name, input, options)).result as Promise<Output>;
  }

  /**
   * Calls a listener with each frame of a type: `notification` (each once and in order, also after lost connections),
   * `inbox_gap` (those that the server no longer has), `stream_available`, `auth_expiring`, `error`, or a message type of the
   * server's tasks. Returns a function that removes the listener.
   */
  on<Type extends keyof ClientEvents>(type: Type, listener: (frame: ClientEvents[Type]) => void): () => void;
  on(type: string, listener: (frame: Readonly<Record<string, unknown>>) => void): () => void;
  on(type: string, listener: (frame: never) => void): () => void {
    return this.#listeners.add(type, listener);
  }

  /** Sends a message type of the server's tasks. False while disconnected: it was not sent. */
  send(type: string, fields: object = {}): boolean {
    const isOpen = this.state === 'open' || this.state === 'draining';
    if (isOpen) this.#connection.send({ ...fields, type });
    return isOpen;
  }

  /** Closes the connection. Replies fail with `CLOSED`, and can be resumed elsewhere while the server keeps them. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  #begin<T extends Exchange>(exchange: T): T {
    const { requestId, id = requestId } = exchange;
    if (requestId.length > requestIdLimit)
      throw new TypeError(`a requestId has at most ${requestIdLimit} characters`);
    if (this.#running.has(requestId) || this.#running.has(id))
      throw new TypeError(`"${id}" is running already`);
    this.#running.set(requestId, exchange).set(id, exchange);
    exchange.begin();
    if (this.state === 'open') exchange.connected();
    else if (this.state === 'closed')
      exchange.fail(new WaggleClientError('CLOSED', 'the client is closed', { requestId }));
    return exchange;
  }

  #received(frame: ServerFrame): void {
    const { type, requestId = '', streamId, taskId } = frame;
    this.#listeners.receive(frame as ServerFrame & Readonly<Record<string, unknown>>);
    const exchange = this.#running.get(streamId ?? taskId ?? '') ?? this.#running.get(requestId);
    exchange?.receive(frame);
    if (exchange?.id !== undefined && !exchange.ended) this.#running.set(exchange.id, exchange);
    // The request was abandoned before the server named its run.
    else if (!exchange && type === 'streaming_start') this.#connection.send({ type: 'cancel', streamId });
    else if (!exchange && type === 'task_accepted') this.#connection.send({ type: 'cancel_task', taskId });
  }
}

/**
 * Opens a connection, as in `connect('ws://localhost:9797/ws/me')`; the last part of the path is the client id.
 * @throws CONNECTION_LOST when the first attempt fails; after that the client reconnects by itself
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<WaggleClient> {
  const { reconnect = {}, answerTimeoutMs = 10_000, heartbeatMs = 15_000, onState, token, after } = options;
  const { WebSocket = (globalThis as { WebSocket?: WebSocketClass }).WebSocket } = options;
  if (!WebSocket)
    throw new TypeError('there is no global WebSocket: pass one as connect(url, { WebSocket })');
  const { baseMs, maxMs } = reconnect || {};
  expectDurations({ answerTimeoutMs, heartbeatMs, 'reconnect.baseMs': baseMs, 'reconnect.maxMs': maxMs });
  const settings = { url, WebSocket, reconnect, answerTimeoutMs, heartbeatMs, onState, token, after };
  return new Promise((resolve, reject) => {
    const settled = { opened: () => resolve(client), closed: reject };
    const client: WaggleClient = new WaggleClient(settings, settled);
  });
}
