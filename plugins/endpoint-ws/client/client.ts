import { Connection, type ConnectionSettings } from './connection.js';
import { WaggleClientError } from './error.js';
import type { Exchange, Line } from './exchange.js';
import type { ServerFrame } from './server-frame.js';
import { StreamedReply } from './streamed-reply.js';
import { Task } from './task.js';
import type { Answer, ChatOptions, ClientState, Reply, ResumeOptions, TaskOptions } from './types.js';

const requestIdLimit = 128;

/** Talks to one server under one client id, until it is closed. */
export class WaggleClient {
  readonly #connection: Connection;
  readonly #line: Line;
  /** By request id, and by the server's id once that is known. */
  readonly #running = new Map<string, Exchange>();

  constructor(settings: ConnectionSettings, settled: { opened(): void; closed(error: Error): void }) {
    this.#line = {
      answerTimeoutMs: settings.answerTimeoutMs,
      send: (frame) => this.#connection.send(frame),
      ended: ({ requestId, id = requestId }) => {
        this.#running.delete(requestId);
        this.#running.delete(id);
      },
    };
    this.#connection = new Connection(settings, {
      opened: () => {
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

  /** Asks, and gives the reply as it comes. Without a connection it waits for the next one. */
  chat(content: string, options: ChatOptions = {}): Reply {
    const { signal: _, timeoutMs: __, ...fields } = options;
    return this.#begin(
      new StreamedReply(this.#line, { type: 'stream_request', content, ...fields }, options),
    );
  }

  /** Asks, and gives the whole reply. */
  ask(content: string, options: ChatOptions = {}): Promise<Answer> {
    return this.chat(content, options).result;
  }

  /** Takes up a reply that was started before or elsewhere; its text is what follows `position`. */
  resume(streamId: string, options: ResumeOptions = {}): Reply {
    return this.#begin(new StreamedReply(this.#line, {}, options, streamId));
  }

  /** Runs a task of the server and gives its output. */
  task<Output = unknown>(name: string, input: unknown, options: TaskOptions = {}): Promise<Output> {
    return this.#begin(new Task(this.#line, name, input, options)).result as Promise<Output>;
  }

  /** Ends the connection. Replies fail with `CLOSED`; the server keeps them for a while, to be resumed elsewhere. */
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
    const exchange = this.#running.get(streamId ?? taskId ?? '') ?? this.#running.get(requestId);
    exchange?.receive(frame);
    if (exchange?.id !== undefined && !exchange.ended) this.#running.set(exchange.id, exchange);
    // What was given up before the server named it is wanted by nobody.
    else if (!exchange && type === 'streaming_start') this.#connection.send({ type: 'cancel', streamId });
    else if (!exchange && type === 'task_accepted') this.#connection.send({ type: 'cancel_task', taskId });
  }
}
