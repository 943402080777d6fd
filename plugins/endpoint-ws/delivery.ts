import { type LogEntry, messageOf, type ReadableListener, type ReplyReader, type Socket } from '#kernel';

/** Sends one reply over one connection: everything new in one go, and a backlog merged when the connection was held up. */
export class Delivery implements ReadableListener {
  readonly #socket: Socket;
  readonly #reader: ReplyReader;
  readonly #encode: (entry: LogEntry) => string;
  readonly #onEnd: (error?: Error) => void;
  /** It is being sent already, or the connection takes nothing. */
  #busy = false;
  #ended = false;

  /** `onEnd` is called once: when all was sent, the reader has left, or the connection was lost. */
  constructor(socket: Socket, reader: ReplyReader, positions: boolean, onEnd: (error?: Error) => void) {
    this.#socket = socket;
    this.#reader = reader;
    this.#encode = positions ? positioned : plain;
    this.#onEnd = onEnd;
    reader.onReadable(this);
  }

  /** Sends what is there. Called from the event loop for each batch of tokens: no promise, no timer. */
  readable(): void {
    if (this.#busy) return;
    this.#busy = true;
    try {
      this.#busy = this.#send();
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(messageOf(error)));
    }
  }

  /** True when it has to wait for the connection, or has ended. */
  #send(): boolean {
    for (;;) {
      const entries = this.#reader.take();
      if (!entries) return this.#end();
      if (entries.length === 0) return false;
      // One frame is the rule where a model speaks: no list and no batch for it.
      const frames = entries.length === 1 ? this.#encode(entries[0] as LogEntry) : entries.map(this.#encode);
      if (this.#socket.send(frames)) continue;
      this.#reader.merge();
      void this.#socket.drained().then((open) => {
        if (!open) this.#end();
        else {
          this.#busy = false;
          this.readable();
        }
      });
      return true;
    }
  }

  #end(error?: Error): true {
    if (!this.#ended) {
      this.#ended = true;
      void this.#reader.return();
      this.#onEnd(error);
    }
    return true;
  }
}

function plain({ json }: LogEntry): string {
  return json;
}

function positioned({ positioned: json }: LogEntry): string {
  return json;
}
