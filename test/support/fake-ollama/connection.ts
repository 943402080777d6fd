import type { Socket } from 'node:net';
import type { OwnRecord } from './record.js';

/** One TCP connection of the fake and the requests on it. */
export class Connection {
  readonly #gone = new AbortController();
  readonly records: OwnRecord[] = [];

  constructor(
    readonly number: number,
    readonly socket: Socket,
    onClose: () => void,
  ) {
    socket.once('close', () => {
      for (const { atMs } of this.records) atMs.peerClosed = performance.now();
      this.#endedBy('peer');
      this.#gone.abort();
      onClose();
    });
  }

  /** Aborts when the socket closed. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Closes with RST. */
  reset(by: 'fake' | 'deadline'): void {
    this.#endedBy(by);
    this.socket.resetAndDestroy();
  }

  /** Closes with FIN once everything written has left. */
  finish(): void {
    this.#endedBy('fake');
    this.socket.destroySoon();
  }

  #endedBy(by: 'peer' | 'fake' | 'deadline'): void {
    for (const record of this.records) record.endedBy ??= by;
  }
}
