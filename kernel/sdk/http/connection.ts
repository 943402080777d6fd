import type { Principal } from '../../contracts/access.js';
import type { EventBus } from '../../contracts/bus.js';
import { closeCode } from '../../contracts/close-codes.js';
import type { Socket, SocketHandler, WebSocketEndpoint } from '../../contracts/transport.js';
import { type ClientErrorCode, toClientError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { randomId } from '../random-id.js';
import { networkOf } from './address.js';
import type { BodyRoom } from './body-room.js';
import type { SizeLimit } from './collected.js';
import { frameHardLimitBytes, limitOf, type TransportConfig } from './config.js';
import { FrameParts } from './frame-parts.js';
import type { Gate, SocketEntry } from './gate.js';
import type { SlowReaders } from './slow-readers.js';
import { SocketAccess } from './socket-access.js';
import type { Tally } from './tally.js';

// uWebSockets collects what is sent in one buffer of 16 KB; beyond it every frame costs a system call of its own.
const batchLength = 15 * 1024;
const frameOverhead = 10;

/** Close codes of refusals; any other is one of the credentials. */
const refusals: Partial<Record<ClientErrorCode, number>> = {
  FORBIDDEN: closeCode.forbidden,
  RATE_LIMITED: closeCode.tryAgainLater,
  INTERNAL: closeCode.internalError,
};

/** What all connections of one transport share. */
export interface ConnectionHost {
  readonly config: TransportConfig;
  readonly logger: Logger;
  readonly bus: EventBus;
  readonly slow: SlowReaders;
  readonly gate: Gate;
  readonly connections: Set<Connection>;
  /** Connections by network, where their number is limited. */
  readonly addresses: Tally;
  /** For the parts of frames, as for those of bodies. */
  readonly room: BodyRoom;
}

/** Who a connection belongs to. */
export interface Opening {
  readonly host: ConnectionHost;
  readonly endpoint: WebSocketEndpoint;
  readonly params: Readonly<Record<string, string>>;
  readonly query?: URLSearchParams | undefined;
  readonly remoteAddress: string;
  /** The sub-protocol that was chosen. */
  readonly protocol?: string | undefined;
  /** Undefined where everyone may come in. */
  readonly entry?: SocketEntry | undefined;
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
  readonly query: URLSearchParams | undefined;
  readonly remoteAddress: string;
  readonly endpoint: WebSocketEndpoint;
  readonly #host: ConnectionHost;
  #entry: SocketEntry | undefined;
  #handler: SocketHandler | undefined;
  /** Where the user has to be known. */
  #access: SocketAccess | undefined;
  #closeCode: number | undefined;
  #drained: Waiting | undefined;
  /** What waits of a frame that is over the backlog limit by itself: it does not count against that. */
  #largeBytes = 0;

  constructor({ host, endpoint, params, query, remoteAddress, entry }: Opening) {
    this.params = params;
    this.query = query;
    this.remoteAddress = remoteAddress;
    this.endpoint = endpoint;
    this.#host = host;
    this.#entry = entry;
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

  /** Frames were sent to it past `send`: as one of many. */
  published(): void {
    if (this.closed || this.bufferedBytes === 0) return;
    if (this.#isBehind) this.#tooSlow('backlog');
    else this.#host.slow.watch(this);
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

  get principal(): Principal | undefined {
    return this.#access?.principal;
  }

  /** The native layer says: it speaks WebSocket now. */
  open(): void {
    const { connections, bus, gate, config } = this.#host;
    const { id, remoteAddress, endpoint } = this;
    const entry = this.#entry;
    this.#entry = undefined;
    if (this.#isOneTooMany) {
      this.#closeCode = 1013;
      bus.emit('connection:refused', { remoteAddress, code: 1013 });
      this.end(1013, 'too many connections');
      return;
    }
    connections.add(this);
    if (config.maxConnectionsPerAddress !== undefined) this.#host.addresses.add(networkOf(remoteAddress));
    const userId = entry?.principal?.id;
    bus.emit('connection:opened', {
      connection: id,
      path: endpoint.path,
      remoteAddress,
      ...(userId && { userId }),
    });
    if (!entry) return void this.admitted([]);
    this.#access = new SocketAccess(this, gate, entry, config.authTimeoutMs, this.#limit.bytes);
    this.#access.begin();
  }

  /** The user is known, or does not matter. `held` came meanwhile. */
  admitted(held: readonly string[]): void {
    const { bus, gate } = this.#host;
    const { id, principal } = this;
    const limit = principal && gate.limitsOf(principal)?.connectionsAtOnce;
    if (limit !== undefined && gate.sockets.countOf(principal?.id ?? '') > limit)
      return void this.close(1013, 'too many connections of this user');
    if (principal) bus.emit('connection:identified', { connection: id, userId: principal.id });
    try {
      this.#handler = this.endpoint.open(this);
      // It may have closed the connection, when there was no handler to tell yet.
      if (this.#closeCode !== undefined) this.#tellClosed(this.#closeCode);
    } catch (err) {
      this.#host.logger.error({ err, connection: id }, 'a WebSocket endpoint could not open a connection');
      this.close(1011, 'internal error');
    }
    for (const text of held) this.#handle(text, Buffer.byteLength(text) > this.#limit.bytes);
  }

  /** Closes it with the code of the refusal; a mistake of a plugin is logged. */
  refused(error: unknown): void {
    const { code } = toClientError(error);
    if (code === 'INTERNAL')
      this.#host.logger.error({ err: error, connection: this.id }, 'judging the user of a connection failed');
    const reason = 'the credentials were refused';
    this.close(refusals[code] ?? closeCode.unauthorized, reason);
  }

  async authenticate(token: string): Promise<Principal | undefined> {
    return this.#access?.principal && this.#access.refresh(token);
  }

  /** The native layer says: a frame has come. Its memory is ours only until this returns. */
  receive(data: Buffer, isBinary: boolean): void {
    const { byteLength } = data;
    const { bytes: limitBytes } = this.#limit;
    const isTooLarge = byteLength > limitBytes;
    if (isBinary) this.close(1003, 'text frames only');
    else if (isTooLarge && (!this.#handler?.tooLarge || byteLength > frameHardLimitBytes(limitBytes)))
      this.close(1009, 'frame too large');
    if (this.closed) return;
    const text = data.toString();
    if (this.#access && !this.#access.isAdmitted) this.#access.receive(text);
    else this.#handle(text, isTooLarge);
  }

  /** For a native layer that shows what it holds of a frame that is not complete. */
  protected frameParts(): FrameParts {
    return new FrameParts(this.#host.room, () => this.noRoom());
  }

  /** There is no room for a frame. */
  protected noRoom(): void {
    this.close(closeCode.tryAgainLater, 'too many large frames at once');
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
    const { connections, addresses, config } = this.#host;
    connections.delete(this);
    if (config.maxConnectionsPerAddress !== undefined) addresses.remove(networkOf(this.remoteAddress));
    this.#host.slow.delete(this);
    this.#release(false);
    const userId = this.principal?.id;
    this.#access?.stop();
    this.#host.bus.emit('connection:closed', { connection: this.id, code, ...(userId && { userId }) });
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

  #handle(text: string, isTooLarge: boolean): void {
    if (this.closed || !this.#handler) return;
    try {
      const { bytes, key } = this.#limit;
      const result = isTooLarge ? this.#handler.tooLarge?.(text, bytes, key) : this.#handler.message(text);
      if (result instanceof Promise) result.catch((error: unknown) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Of a frame. Computed, because an idle connection should hold little. */
  get #limit(): SizeLimit {
    const { frameLimitBytes, limitedBy } = this.endpoint;
    return limitOf('frameLimitBytes', frameLimitBytes, limitedBy, this.#host.config);
  }

  get #isOneTooMany(): boolean {
    const { connections, config } = this.#host;
    const { maxConnections, maxConnectionsPerAddress: perAddress } = config;
    if (connections.size >= maxConnections) return true;
    if (perAddress === undefined) return false;
    return this.#host.addresses.of(networkOf(this.remoteAddress)) >= perAddress;
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

declare module '../../contracts/bus.js' {
  interface KernelEvents {
    /** A WebSocket is open. `path` is that of its endpoint: `/ws/{client_id}`; `userId` is absent until it is known. */
    'connection:opened': {
      readonly connection: string;
      readonly path: string;
      readonly remoteAddress: string;
      readonly userId?: string;
    };
    /** Its user is known. */
    'connection:identified': { readonly connection: string; readonly userId: string };
    /** It has closed; `code` is 1006 where the peer said nothing. */
    'connection:closed': { readonly connection: string; readonly code: number; readonly userId?: string };
    /** One too many: it was closed before it counted as open. */
    'connection:refused': { readonly remoteAddress: string; readonly code: number };
  }
}
