import {
  type ChatStreams,
  type LogEntry,
  type Logger,
  type Reply,
  type Socket,
  type SocketHandler,
  toClientError,
  WaggleError,
} from '#kernel';
import { type ChatFrame, commandOf, readFrame, requestIdOf } from './frames.js';

export interface SessionEvents {
  onClosed(session: Session): void;
  /** A reply was sent to its end, or given up. */
  onDelivered(): void;
}

/** One connection of one client, with the replies that it started. */
export class Session implements SocketHandler {
  readonly #socket: Socket;
  readonly #clientId: string;
  readonly #streams: ChatStreams;
  readonly #maxStreams: number;
  readonly #logger: Logger;
  readonly #replies = new Set<Reply>();
  readonly #events: SessionEvents;

  constructor(
    socket: Socket,
    clientId: string,
    streams: ChatStreams,
    maxStreams: number,
    logger: Logger,
    events: SessionEvents,
  ) {
    this.#socket = socket;
    this.#clientId = clientId;
    this.#streams = streams;
    this.#maxStreams = maxStreams;
    this.#logger = logger;
    this.#events = events;
  }

  get clientId(): string {
    return this.#clientId;
  }

  /** Whether every reply that it started was delivered. */
  get idle(): boolean {
    return this.#replies.size === 0;
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  async message(text: string): Promise<void> {
    try {
      const frame = await readFrame(text);
      if (frame.type === 'ping') this.#socket.send('{"type":"pong"}');
      else await this.#chat(frame);
    } catch (cause) {
      const error = toClientError(cause);
      if (error.code === 'INTERNAL')
        this.#logger.error({ err: cause, clientId: this.#clientId }, 'a frame could not be handled');
      const { code, message, retryAfterMs } = error;
      const requestId = requestIdOf(text);
      this.#send({
        type: 'error',
        code,
        message,
        ...(requestId && { requestId }),
        ...(retryAfterMs && { retryAfterMs }),
      });
    }
  }

  closed(): void {
    for (const reply of this.#replies) void reply.cancel('disconnected');
    this.#events.onClosed(this);
  }

  async #chat(frame: ChatFrame & { readonly type: 'stream_request' | 'message' }): Promise<void> {
    if (this.#replies.size >= this.#maxStreams)
      throw new WaggleError('BUSY', { limit: this.#maxStreams, what: 'replies on one connection' });
    const reply = this.#streams.start(commandOf(frame, this.#clientId));
    this.#replies.add(reply);
    try {
      if (frame.type === 'message') await this.#sendWhole(reply, frame.requestId);
      else await this.#sendStream(reply, frame.positions);
    } finally {
      this.#replies.delete(reply);
      this.#events.onDelivered();
    }
  }

  async #sendWhole(reply: Reply, requestId: string | undefined): Promise<void> {
    const { conversationId } = reply;
    const answer = await reply.whole();
    this.#send({ type: 'message', ...answer, conversationId, ...(requestId && { requestId }) });
  }

  async #sendStream(reply: Reply, positions: boolean): Promise<void> {
    for await (const entries of reply.read()) {
      const room = this.#socket.send(entries.map(positions ? withPosition : plain));
      if (!room && !(await this.#socket.drained())) return;
    }
  }

  #send(frame: object): void {
    this.#socket.send(JSON.stringify(frame));
  }
}

function plain({ frame }: LogEntry): string {
  return JSON.stringify(frame);
}

function withPosition({ frame, position }: LogEntry): string {
  return JSON.stringify(frame.type === 'streaming_token' ? { ...frame, position } : frame);
}
