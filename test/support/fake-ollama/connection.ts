import type { Socket } from 'node:net';
import type { OwnRecord } from './records.js';

/** One TCP connection of the fake and the requests on it. */
export class Connection {
  readonly #gone = new AbortController();
  readonly #records: OwnRecord[] = [];
  /** How many requests came on it so far. */
  requests = 0;

  constructor(
    readonly number: number,
    readonly socket: Socket,
    onClose: () => void,
  ) {
    socket.once('close', () => {
      for (const record of this.#records) {
        record.atMs.peerClosed = performance.now();
        record.endedBy ??= 'peer';
      }
      this.#gone.abort();
      onClose();
    });
  }

  /** Aborts when the socket closed. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Adds a request. */
  add(record: OwnRecord): void {
    this.#records.push(record);
  }

  /** Closes with RST. */
  reset(by: 'fake' | 'deadline'): void {
    this.#endedBy(by);
    this.socket.resetAndDestroy();
  }

  /** Closes with FIN once everything written has left. */
  finish(by: 'fake' | 'deadline'): void {
    this.#endedBy(by);
    this.socket.destroySoon();
  }

  #endedBy(by: 'fake' | 'deadline'): void {
    for (const record of this.#records) record.endedBy ??= by;
  }
}
