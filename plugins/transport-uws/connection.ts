import type uWS from 'uWebSockets.js';
import { Connection } from '#sdk/http';

/** What a native socket carries. uWebSockets copies its fields, so that it cannot be the connection itself. */
export interface UserData {
  readonly connection: UwsConnection;
}

type Native = uWS.WebSocket<UserData>;

/** One WebSocket of uWebSockets.js. */
export class UwsConnection extends Connection {
  #ws: Native | undefined;
  #emptied: (() => void) | undefined;

  get bufferedBytes(): number {
    return this.closed ? 0 : (this.#ws?.getBufferedAmount() ?? 0);
  }

  attach(ws: Native): void {
    this.#ws = ws;
    this.open();
  }

  subscribe(channel: string): void {
    if (!this.closed) this.#ws?.subscribe(channel);
  }

  unsubscribe(channel: string): void {
    if (!this.closed) this.#ws?.unsubscribe(channel);
  }

  override progressed(): void {
    super.progressed();
    if (this.bufferedBytes === 0) this.#emptied?.();
  }

  override ended(code: number): void {
    super.ended(code);
    this.#emptied?.();
  }

  async leave(code: number, reason: string): Promise<void> {
    if (this.bufferedBytes > 0)
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
      });
    this.close(code, reason);
  }

  destroy(): void {
    if (!this.closed) this.#ws?.close();
  }

  protected write(frame: string): boolean {
    return this.#ws?.send(frame) === 1;
  }

  protected writeBatch(frames: readonly string[], from: number, to: number): void {
    corked = this.#ws as Native;
    batch = frames;
    next = from;
    end = to;
    corked.cork(sendCorked);
  }

  protected end(code: number, reason: string): void {
    this.#ws?.end(code, reason);
  }
}

// `cork` runs its callback before it returns: one set of variables serves every connection, and no batch needs a closure.
let corked: Native;
let batch: readonly string[];
let next: number;
let end: number;

function sendCorked(): void {
  while (next < end) corked.send(batch[next++] as string);
}
