import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

const boundMs = 30_000;

export interface ClientFrame {
  readonly type: string;
  readonly requestId: string;
  readonly streamId: string;
  readonly position: number;
  readonly content: string;
  readonly [field: string]: unknown;
}

/** One connection of the client, as the server sees it. */
export interface Peer {
  send(...frames: object[]): void;
  close(code: number, reason?: string): void;
  /** Without a word, as a lost network does. */
  cut(): void;
}

/** A server that says what a test tells it to, and remembers what it was told. */
export class ScriptedServer {
  readonly frames: ClientFrame[] = [];
  connections = 0;
  /** What it does when a client comes. */
  onConnection: (peer: Peer) => void = () => {};
  /** What it does with a frame. */
  onFrame: (frame: ClientFrame, peer: Peer) => void = () => {};
  readonly #server: WebSocketServer;
  readonly #waiting = new Set<() => void>();

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket: WebSocket) => {
      this.connections++;
      const peer = peerOf(socket);
      socket.on('error', () => {});
      socket.on('message', (data) => {
        const frame = JSON.parse(String(data)) as ClientFrame;
        this.frames.push(frame);
        this.onFrame(frame, peer);
        for (const look of this.#waiting) look();
      });
      this.onConnection(peer);
    });
  }

  static async listen(): Promise<ScriptedServer> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    return new ScriptedServer(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws/me`;
  }

  /** Resolves with the `count`-th frame of this type, now or later. */
  until(type: string, count = 1): Promise<ClientFrame> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.frames.filter((frame) => frame.type === type)[count - 1];
        if (!found) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found);
      };
      const late = () => reject(new Error(`no ${type} among ${JSON.stringify(this.frames)}`));
      const timer = setTimeout(late, boundMs);
      this.#waiting.add(look);
      look();
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function peerOf(socket: WebSocket): Peer {
  return {
    send: (...frames) => {
      for (const frame of frames) socket.send(JSON.stringify(frame));
    },
    close: (code, reason) => socket.close(code, reason),
    cut: () => socket.terminate(),
  };
}
