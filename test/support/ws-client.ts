import { once } from 'node:events';
import WebSocket from 'ws';
import { Waiters } from './waiters.js';

const boundMs = 30_000;

export interface Frame {
  readonly type: string;
  readonly streamId?: string;
  readonly requestId?: string;
  readonly content?: string;
  readonly code?: string;
  readonly message?: string;
  readonly agent?: string;
  readonly [field: string]: unknown;
}

const terminal = new Set(['streaming_end', 'message', 'cancelled', 'error']);

/** A second, independent WebSocket client that keeps every frame. */
export class WsClient {
  readonly frames: Frame[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly socket: WebSocket;
  readonly #waiters = new Waiters();
  #isClosed = false;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => {
      this.frames.push(JSON.parse(String(data)));
      this.#waiters.check();
    });
    this.closed = once(socket, 'close').then(([code, reason]) => {
      this.#isClosed = true;
      this.#waiters.check();
      return { code, reason: String(reason) };
    });
    socket.on('error', () => {
      // What went wrong shows in the close code.
    });
  }

  static async connect(url: string, options: WebSocket.ClientOptions = {}): Promise<WsClient> {
    const socket = new WebSocket(url, options);
    const client = new WsClient(socket);
    await Promise.race([
      once(socket, 'open'),
      client.closed.then(() => Promise.reject(new Error('refused'))),
    ]);
    return client;
  }

  send(frame: object | string): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** Resolves with the first frame that matches, now or later. */
  until(matches: (frame: Frame) => boolean): Promise<Frame> {
    const all = () => `such a frame: ${JSON.stringify(this.frames).slice(0, 2000)}`;
    const find = () => {
      const found = this.frames.find(matches);
      if (!found && this.#isClosed) throw new Error(`closed without ${all()}`);
      return found;
    };
    return this.#waiters.until(find, boundMs, all);
  }

  /** The frame that ends the stream or answers the request with this id. */
  end(requestId?: string): Promise<Frame> {
    return this.until((frame) => terminal.has(frame.type) && frame.requestId === requestId);
  }

  /** Asks, and gives the frames of this one stream when it has ended. */
  async ask(frame: object): Promise<readonly Frame[]> {
    const from = this.frames.length;
    this.send({ type: 'stream_request', ...frame });
    await this.until((each) => terminal.has(each.type) && this.frames.indexOf(each) >= from);
    return this.frames.slice(from);
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }
}

/** The text of a stream's frames. */
export function textOf(frames: readonly Frame[]): string {
  return frames.map((frame) => (frame.type === 'streaming_token' ? frame.content : '')).join('');
}
