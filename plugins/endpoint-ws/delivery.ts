import type { LogEntry, ReplyReader, Socket } from '#kernel';
import { ReplyDelivery } from '#sdk';

/** Sends one reply as frames. */
export class Delivery extends ReplyDelivery {
  readonly #encode: (entry: LogEntry) => string;

  constructor(socket: Socket, reader: ReplyReader, positions: boolean, onEnd: (error?: Error) => void) {
    super(socket, reader, onEnd);
    this.#encode = positions ? positioned : plain;
  }

  protected encode(entries: readonly LogEntry[]): string | readonly string[] {
    // One frame is the rule where a model speaks: no list and no batch for it.
    return entries.length === 1 ? this.#encode(entries[0] as LogEntry) : entries.map(this.#encode);
  }
}

function plain({ json }: LogEntry): string {
  return json;
}

function positioned({ positioned: json }: LogEntry): string {
  return json;
}
