import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { Connection, type Opening } from '#sdk/http';

const discardLimitBytes = 16 * 1024 * 1024;
/** Around the data of a ping or a pong. */
const controlBytes = 6;
/** What Node.js itself looks at to tell a slow connection from one that stands still. */
interface Writing {
  readonly _handle?: { readonly writeQueueSize: number } | null;
  readonly _writableState?: { readonly writelen: number };
}

/** One WebSocket of `ws`. */
export class NodeConnection extends Connection {
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  // Of a write that was under way when the socket broke, Node.js reports success.
  readonly #written = () => {
    if (!this.#socket.destroyed) this.progressed();
  };
  #alive = true;
  readonly #parts = this.frameParts();
  /** The pong under way, and the ping that is answered after it: the newest one stands for all before it (RFC 6455, 5.5.3). */
  #isPonging = false;
  #unansweredPing: Buffer | undefined;

  constructor(ws: WebSocket, socket: Duplex, opening: Opening) {
    super(opening);
    this.#ws = ws;
    this.#socket = socket;
    // What goes wrong ends in a close, which is heard.
    ws.on('error', () => this.#discard());
    ws.on('close', (code) => {
      this.#parts.gone();
      this.ended(code);
    });
    // Before `ws`, which then tells of a frame that is complete.
    socket.prependListener('data', ({ byteLength }: Buffer) => {
      if (!this.closed) this.#parts.received(byteLength);
    });
    ws.on('pong', (data) => {
      this.#alive = true;
      this.#parts.gone(data.byteLength + controlBytes);
    });
    ws.on('ping', (data) => {
      this.#alive = true;
      this.#parts.gone(data.byteLength + controlBytes);
      this.#pong(data);
    });
    ws.on('message', (data: Buffer, isBinary) => {
      this.#alive = true;
      this.#parts.gone();
      this.receive(data, isBinary);
    });
  }

  get bufferedBytes(): number {
    const { bufferedAmount } = this.#ws;
    const { _handle: handle, _writableState: state } = this.#socket as Duplex & Writing;
    // Of a write under way the stream counts all until its end; the handle knows how much of it is left.
    if (bufferedAmount === 0 || !handle || !state?.writelen) return bufferedAmount;
    return bufferedAmount - state.writelen + handle.writeQueueSize;
  }

  async leave(code: number, reason: string): Promise<void> {
    this.close(code, reason);
    if (this.#ws.readyState !== this.#ws.CLOSED) await once(this.#ws, 'close');
  }

  destroy(): void {
    this.#ws.terminate();
  }

  /** Ends the connection unless its peer has shown up since the last call, and asks it to show up. */
  probe(): void {
    if (!this.#alive) this.destroy();
    this.#alive = false;
    this.#ws.ping();
  }

  protected write(frame: string): boolean {
    this.#ws.send(frame, this.#written);
    return this.#ws.bufferedAmount === 0;
  }

  protected writeBatch(frames: readonly string[], from: number, to: number): void {
    this.#socket.cork();
    for (let at = from; at < to; at++) this.#ws.send(frames[at] as string, this.#written);
    this.#socket.uncork();
  }

  protected end(code: number, reason: string): void {
    this.#ws.close(code, reason);
    this.#discard();
  }

  /** Nothing more of the frame is read. The close leaves all the same. */
  protected override noRoom(): void {
    super.noRoom();
    this.#ws.pause();
  }

  #pong(data: Buffer): void {
    if (this.#isPonging) {
      this.#unansweredPing = data;
      return;
    }
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    this.#isPonging = true;
    this.#ws.pong(data, false, () => {
      this.#isPonging = false;
      const next = this.#unansweredPing;
      this.#unansweredPing = undefined;
      if (next) this.#pong(next);
    });
  }

  /** Ends a connection whose peer goes on sending instead of closing its side. */
  #discard(): void {
    const socket = this.#socket as Socket;
    const limitBytes = socket.bytesRead + discardLimitBytes;
    socket.on('data', () => {
      if (socket.bytesRead > limitBytes) this.destroy();
    });
  }
}
