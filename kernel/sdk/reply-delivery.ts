import type { ReadableListener } from '../contracts/readable.js';
import type { LogEntry, ReplyReader } from '../contracts/stream.js';
import type { Socket } from '../contracts/transport.js';
import { messageOf } from '../errors.js';

/** Sends one reply over one connection: everything new in one go, and a backlog merged when the connection was held up. */
export abstract class ReplyDelivery<Entry = LogEntry> implements ReadableListener {
  readonly #socket: Socket;
  readonly #reader: ReplyReader<Entry>;
  readonly #onEnd: (error?: Error) => void;
  /** It is being sent already, or the connection takes nothing. */
  #busy = false;
  #ended = false;

  /** `onEnd` is called once: when all was sent, the reader has left, or the connection was lost. */
  constructor(socket: Socket, reader: ReplyReader<Entry>, onEnd: (error?: Error) => void) {
    this.#socket = socket;
    this.#reader = reader;
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

  /** Sends no more. The reply goes on. */
  leave(): void {
    this.#end();
  }

  /** The frames of one or more entries, perhaps none. */
  protected abstract encode(entries: readonly Entry[]): string | readonly string[];

  /** True when it has to wait for the connection, or has ended. */
  #send(): boolean {
    for (;;) {
      const entries = this.#reader.take();
      if (!entries) return this.#end();
      if (entries.length === 0) return false;
      const frames = this.encode(entries);
      if (frames.length === 0 || this.#socket.send(frames)) continue;
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
