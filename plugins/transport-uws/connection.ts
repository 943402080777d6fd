import type uWS from 'uWebSockets.js';
import { Connection } from '#kernel';

/** What a native socket carries. uWebSockets copies its fields, so that it cannot be the connection itself. */
export interface UserData {
  readonly connection: UwsConnection;
}

type Native = uWS.WebSocket<UserData>;

// uWebSockets collects what is sent in one buffer of 16 KB; beyond it every frame costs a system call of its own.
const batchLimit = 15 * 1024;
const frameOverhead = 10;

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

  protected write(frames: string | readonly string[]): boolean {
    const ws = this.#ws as Native;
    if (typeof frames === 'string') return ws.send(frames) === 1;
    for (let from = 0; from < frames.length; ) {
      from = sendBatch(ws, frames, from);
      // Whoever is this far behind is closed; the rest would only take memory until then.
      if (ws.getBufferedAmount() > this.backlogLimitBytes) return false;
    }
    return ws.getBufferedAmount() === 0;
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

function sendBatch(ws: Native, frames: readonly string[], from: number): number {
  let size = 0;
  end = from;
  do {
    size += (frames[end] as string).length + frameOverhead;
    end++;
  } while (end < frames.length && size + (frames[end] as string).length + frameOverhead <= batchLimit);
  corked = ws;
  batch = frames;
  next = from;
  ws.cork(sendCorked);
  return end;
}

function sendCorked(): void {
  while (next < end) corked.send(batch[next++] as string);
}
