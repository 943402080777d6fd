import type { EventBus } from '../../bus.js';
import type { Socket, SocketHandler, WebSocketEndpoint } from '../../contracts/transport.js';
import { toClientError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { randomId } from '../random-id.js';
import { frameHardLimitBytes, type TransportConfig } from './config.js';
import type { SlowReaders } from './slow-readers.js';

// uWebSockets collects what is sent in one buffer of 16 KB; beyond it every frame costs a system call of its own.
const batchLength = 15 * 1024;
const frameOverhead = 10;

/** What all connections of one transport share. */
export interface ConnectionHost {
  readonly config: TransportConfig;
  readonly logger: Logger;
  readonly bus: EventBus;
  readonly slow: SlowReaders;
  readonly connections: Set<Connection>;
}

/** Who a connection belongs to. */
export interface Opening {
  readonly host: ConnectionHost;
  readonly endpoint: WebSocketEndpoint;
  readonly params: Readonly<Record<string, string>>;
  readonly remoteAddress: string;
  /** The sub-protocol that was chosen. */
  readonly protocol?: string | undefined;
}

interface Waiting {
  readonly promise: Promise<boolean>;
  readonly resolve: (open: boolean) => void;
}

/** One WebSocket. A native layer supplies how frames go out; an idle connection holds no timer, closure or collection. */
export abstract class Connection implements Socket {
  // Not a UUID, of which Node keeps fifteen pieces.
  readonly id = randomId();
  readonly params: Readonly<Record<string, string>>;
  readonly remoteAddress: string;
  readonly endpoint: WebSocketEndpoint;
  readonly #host: ConnectionHost;
  #handler: SocketHandler | undefined;
  #closeCode: number | undefined;
  #drained: Waiting | undefined;
  /** What waits of a frame that is over the backlog limit by itself: it does not count against that. */
  #largeBytes = 0;

  constructor({ host, endpoint, params, remoteAddress }: Opening) {
    this.params = params;
    this.remoteAddress = remoteAddress;
    this.endpoint = endpoint;
    this.#host = host;
  }

  abstract readonly bufferedBytes: number;

  get closed(): boolean {
    return this.#closeCode !== undefined;
  }

  send(frames: string | readonly string[]): boolean {
    if (this.closed) return false;
    const { config, slow } = this.#host;
    const watched = slow.has(this);
    if (watched) slow.look(this);
    const took = typeof frames === 'string' ? this.#writeOne(frames) : this.#writeAll(frames);
    if (took && !watched) return true;
    if (this.#isBehind) this.#tooSlow('backlog');
    if (this.closed) return false;
    slow.watch(this);
    return this.bufferedBytes <= config.highWaterMarkBytes;
  }

  drained(): Promise<boolean> {
    if (this.closed) return Promise.resolve(false);
    if (this.bufferedBytes <= this.#host.config.highWaterMarkBytes) return Promise.resolve(true);
    this.#drained ??= waiting();
    return this.#drained.promise;
  }

  close(code: number, reason: string): void {
    if (this.closed) return;
    // First, because native layers report the close before `end` has returned.
    this.ended(code);
    this.end(code, reason);
  }

  /** Nothing was read for the time allowed. */
  stalled(): void {
    this.#tooSlow('stall');
  }

  /** The native layer says: it speaks WebSocket now. */
  open(): void {
    const { connections, config, logger, bus } = this.#host;
    const { id, remoteAddress, endpoint } = this;
    if (connections.size >= config.maxConnections) {
      this.#closeCode = 1013;
      bus.emit('connection:refused', { remoteAddress, code: 1013 });
      this.end(1013, 'too many connections');
      return;
    }
    connections.add(this);
    bus.emit('connection:opened', { connection: id, path: endpoint.path, remoteAddress });
    try {
      this.#handler = endpoint.open(this);
      // It may have closed the connection, when there was no handler to tell yet.
      if (this.#closeCode !== undefined) this.#tellClosed(this.#closeCode);
    } catch (err) {
      logger.error({ err, connection: id }, 'a WebSocket endpoint could not open a connection');
      this.close(1011, 'internal error');
    }
  }

  /** The native layer says: a frame has come. Its memory is ours only until this returns. */
  receive(data: Buffer, isBinary: boolean): void {
    const { config } = this.#host;
    const { byteLength } = data;
    const isTooLarge = byteLength > config.frameLimitBytes;
    if (isBinary) this.close(1003, 'text frames only');
    else if (isTooLarge && (!this.#handler?.tooLarge || byteLength > frameHardLimitBytes(config)))
      this.close(1009, 'frame too large');
    if (this.closed || !this.#handler) return;
    try {
      const text = data.toString();
      const result = isTooLarge
        ? this.#handler.tooLarge?.(text, config.frameLimitBytes)
        : this.#handler.message(text);
      if (result instanceof Promise) result.catch((error: unknown) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The native layer says: bytes have left. */
  progressed(): void {
    const { slow, config } = this.#host;
    slow.look(this);
    if (this.bufferedBytes <= config.highWaterMarkBytes) this.#release(true);
  }

  /** The native layer says: it is over. */
  ended(code: number): void {
    if (this.closed) return;
    this.#closeCode = code;
    this.#host.connections.delete(this);
    this.#host.slow.delete(this);
    this.#release(false);
    this.#host.bus.emit('connection:closed', { connection: this.id, code });
    this.#tellClosed(code);
  }

  /** Closes once the peer has what was sent. Resolves when nothing more is to be done for it. */
  abstract leave(code: number, reason: string): Promise<void>;
  /** Ends the connection at once, whatever state it is in. */
  abstract destroy(): void;
  /** True when nothing of it waits in this process. */
  protected abstract write(frame: string): boolean;
  /** Hands the frames from `from` to before `to` on in one go. */
  protected abstract writeBatch(frames: readonly string[], from: number, to: number): void;
  protected abstract end(code: number, reason: string): void;

  #writeAll(frames: readonly string[]): boolean {
    for (let from = 0; from < frames.length; ) {
      const to = batchEnd(frames, from);
      const before = to === from + 1 && this.#isLong(frames[from] as string) ? this.bufferedBytes : undefined;
      this.writeBatch(frames, from, to);
      if (before !== undefined) this.#allow(before);
      from = to;
      // Whoever is this far behind is closed; the rest would only take memory until then.
      if (this.#isBehind) return false;
    }
    return this.bufferedBytes === 0;
  }

  #writeOne(frame: string): boolean {
    if (!this.#isLong(frame)) return this.write(frame);
    const before = this.bufferedBytes;
    const took = this.write(frame);
    this.#allow(before);
    return took;
  }

  /** Whether it may be over the backlog limit by itself: a character has up to three bytes. */
  #isLong(frame: string): boolean {
    return frame.length * 3 > this.#host.config.backlogLimitBytes;
  }

  /** A long frame was written. To a reader who was up to date it is no sign of a slow one. */
  #allow(before: number): void {
    const { highWaterMarkBytes, backlogLimitBytes } = this.#host.config;
    const { bufferedBytes } = this;
    if (before <= highWaterMarkBytes && bufferedBytes > backlogLimitBytes)
      this.#largeBytes = bufferedBytes - before;
  }

  /** Whether more waits than the limit allows. */
  get #isBehind(): boolean {
    const { bufferedBytes } = this;
    this.#largeBytes = Math.min(this.#largeBytes, bufferedBytes);
    return bufferedBytes - this.#largeBytes > this.#host.config.backlogLimitBytes;
  }

  #failed(error: unknown): void {
    const { code } = toClientError(error);
    // Once the peer has gone, failing is how most handlers find out.
    const level = code === 'INTERNAL' && !this.closed ? 'error' : 'debug';
    this.#host.logger[level]({ err: error, connection: this.id }, 'handling a WebSocket message failed');
  }

  #tooSlow(why: 'backlog' | 'stall'): void {
    const { bufferedBytes } = this;
    this.#host.logger.info(
      { connection: this.id, why, bufferedBytes },
      'a reader was too slow and was closed',
    );
    this.close(4429, 'slow reader');
  }

  #release(open: boolean): void {
    const waiting = this.#drained;
    this.#drained = undefined;
    waiting?.resolve(open);
  }

  #tellClosed(code: number): void {
    const handler = this.#handler;
    this.#handler = undefined;
    try {
      handler?.closed?.(code);
    } catch (err) {
      this.#host.logger.error({ err, connection: this.id }, 'a WebSocket handler failed at the close');
    }
  }
}

/** As many frames as fit into one write, and at least one. */
function batchEnd(frames: readonly string[], from: number): number {
  let length = 0;
  let to = from;
  do {
    length += (frames[to] as string).length + frameOverhead;
    to++;
  } while (to < frames.length && length + (frames[to] as string).length + frameOverhead <= batchLength);
  return to;
}

function waiting(): Waiting {
  let resolve: Waiting['resolve'] = () => {};
  const promise = new Promise<boolean>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

declare module '../../bus.js' {
  interface KernelEvents {
    /** A WebSocket is open. `path` is that of its endpoint: `/ws/{client_id}`. */
    'connection:opened': {
      readonly connection: string;
      readonly path: string;
      readonly remoteAddress: string;
    };
    /** It has closed; `code` is 1006 where the peer said nothing. */
    'connection:closed': { readonly connection: string; readonly code: number };
    /** One too many: it was closed before it counted as open. */
    'connection:refused': { readonly remoteAddress: string; readonly code: number };
  }
}
