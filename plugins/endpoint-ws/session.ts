import {
  type ChatStreams,
  type ClientAnswer,
  closeCode,
  type EventBus,
  type Limits,
  type Logger,
  type ReadonlyRegistry,
  type Reply,
  type ReplyReader,
  type ServerFrame,
  type Socket,
  type SocketHandler,
  type TaskDefinition,
  type TaskEngine,
  toClientError,
  WaggleError,
} from '#kernel';
import { authOkFrame, checkUnexpired, errorFrame, IdMap, RateLimit } from '#sdk';
import type { Announcement } from './announcement.js';
import type { Config } from './config.js';
import { Delivery } from './delivery.js';
import { type Asker, type ChatFrame, type ClientFrame, commandOf, readFrame, requestIdOf } from './frames.js';
import type { Inbox } from './inbox.js';
import { SessionTasks } from './session-tasks.js';

const work: ReadonlySet<ClientFrame['type']> = new Set(['stream_request', 'message', 'task', 'registered']);

/** Services and callbacks that sessions share. */
export interface SessionHost {
  readonly streams: ChatStreams;
  /** Absent without a plugin that runs tasks. */
  readonly engine: TaskEngine | undefined;
  readonly limits: Limits | undefined;
  readonly tasks: ReadonlyRegistry<TaskDefinition>;
  readonly config: Config;
  readonly bus: Pick<EventBus, 'emit'>;
  readonly logger: Logger;
  readonly inbox: Inbox;
  /** Where several nodes number their notifications together: resolves when this one has come to a number. */
  readonly reached?: ((seq: number) => Promise<void>) | undefined;
  /** Starts or stops the delivery of broadcasts to a session. */
  subscribe(session: Session, isOn: boolean): void;
  onClosed(session: Session): void;
  /** A reply was delivered or given up. */
  onDelivered(): void;
}

/** One connection of a client, with the replies it reads. */
export class Session implements SocketHandler {
  readonly clientId: string;
  readonly userId: string;
  /** The one of the same user that opened before it. */
  older: Session | undefined;
  readonly socket: Socket;
  readonly #host: SessionHost;
  // Created on first use: most connections of a large server are idle.
  #rateIfAny: RateLimit | undefined;
  /** Replies being sent, by stream. */
  #readersIfAny: IdMap<ReplyReader> | undefined;
  #wholeIfAny: Set<AbortController> | undefined;
  #tasksIfAny: SessionTasks | undefined;
  /** Replies that are being started or looked for. */
  #pending = 0;
  #bad = 0;
  /**
   * The last notification that it has had, while it does not get them as they come: until its first frame, which may ask for
   * earlier ones, and while these are sent.
   */
  #behindFrom: number | undefined;
  #isCatchingUp = false;

  constructor(socket: Socket, userId: string, host: SessionHost) {
    this.socket = socket;
    this.clientId = socket.params.client_id as string;
    this.userId = userId;
    this.#host = host;
    this.#behindFrom = host.inbox.seq;
  }

  /** Whether all replies are delivered. */
  get idle(): boolean {
    return this.#busy === 0;
  }

  close(code: number, reason: string): void {
    this.socket.close(code, reason);
  }

  /** A frame takes effect before this returns: frames that arrive together are handled in order. */
  message(text: string): void | Promise<void> {
    if (!this.#takesFrame()) return this.#tooMany();
    try {
      const frame = readFrame(text, this.#host.tasks);
      this.#bad = 0;
      if (this.#behindFrom !== undefined && frame.type !== 'inbox') this.catchUp();
      const type = frame.type === 'registered' ? frame.name : frame.type;
      const { id: connection } = this.socket;
      this.#host.bus.emit('message:received', { connection, clientId: this.clientId, type });
      return this.#counted(frame)?.catch((cause: unknown) => this.#refuse(cause, requestIdOf(text)));
    } catch (cause) {
      this.#refuse(cause, requestIdOf(text));
    }
  }

  tooLarge(text: string, limitBytes: number, key?: string): void {
    if (!this.#takesFrame()) this.#tooMany();
    else this.#refuse(new WaggleError('TOO_LARGE', { limitBytes, key }), requestIdOf(text));
  }

  closed(): void {
    for (const reader of this.#readersIfAny?.values() ?? []) void reader.return();
    for (const abort of this.#wholeIfAny ?? []) abort.abort();
    this.#tasksIfAny?.leave();
    this.#host.onClosed(this);
  }

  /** Announces the shutdown, and the time left for running replies. */
  announceDrain(deadlineMs: number): void {
    this.#send({ type: 'server_draining', deadlineMs });
  }

  /** A notification; one that is behind gets it later. */
  notify(json: string): void {
    if (this.#behindFrom === undefined) this.socket.send(json);
  }

  /** Whether it gets notifications as they come. */
  get isUpToDate(): boolean {
    return this.#behindFrom === undefined;
  }

  /** Sends the notifications that it has missed, and from then on each as it comes. */
  catchUp(): void {
    if (this.#isCatchingUp) return;
    const { inbox } = this.#host;
    for (let reached = this.#behindFrom ?? inbox.seq; reached < inbox.seq; ) {
      const { frames, seq } = inbox.after(this.userId, reached);
      reached = this.#behindFrom = seq;
      if (frames.length === 0 || this.socket.send(frames) || seq === inbox.seq) continue;
      this.#isCatchingUp = true;
      void this.socket.drained().then((isOpen) => {
        this.#isCatchingUp = false;
        if (isOpen) this.catchUp();
      });
      return;
    }
    this.#behindFrom = undefined;
    this.#host.subscribe(this, true);
  }

  reads(streamId: string): boolean {
    return this.#readersIfAny?.get(streamId) !== undefined;
  }

  /** Tells of a reply that another connection or the server has started. */
  announce({ clientId, frame }: Announcement): void {
    if (clientId !== this.clientId && !this.reads(frame.streamId)) this.#send(frame);
  }

  /** Frames that ask for work count against the limits of their user. */
  #counted(frame: ClientFrame): void | Promise<void> {
    const { principal } = this.socket;
    if (!principal || !work.has(frame.type)) return this.#handle(frame);
    checkUnexpired(principal);
    const counted = this.#host.limits?.request(principal);
    return counted ? counted.then(() => this.#handle(frame)) : this.#handle(frame);
  }

  #handle(frame: ClientFrame): void | Promise<void> {
    switch (frame.type) {
      case 'inbox':
        return this.#readInbox(frame.after);
      case 'ping':
        return this.#send({ type: 'pong' });
      case 'auth':
        return this.#authenticate(frame.token);
      case 'cancel':
        return this.#cancel(frame.streamId);
      case 'resume':
        return this.#resume(frame.streamId, frame.position, frame.positions);
      case 'message':
        return this.#answerWhole(frame);
      case 'task':
        this.#checkLimit();
        return this.#tasks.run(frame);
      case 'registered':
        this.#checkLimit();
        return this.#tasks.answer(frame);
      case 'cancel_task':
        return this.#tasks.cancel(frame.taskId);
      case 'tool_result': {
        const { output, error } = frame;
        return this.#give(frame, { type: 'tool_result', output, error });
      }
      case 'approve': {
        const { allow, reason } = frame;
        return this.#give(frame, { type: 'approval', allow, reason, by: this.#asker.userId });
      }
      case 'stream_request':
        return this.#answer(frame);
    }
  }

  #readInbox(after: number | undefined): void | Promise<void> {
    const { inbox, reached } = this.#host;
    if (after !== undefined) {
      this.#host.subscribe(this, false);
      this.#behindFrom = after;
    }
    if (after === undefined || after <= inbox.seq || !reached) return this.#catchUpFrom(after);
    // Another node has told its client more than this one has heard of.
    this.#isCatchingUp = true;
    return reached(after).then(() => {
      this.#isCatchingUp = false;
      if (!this.socket.closed) this.#catchUpFrom(after);
    });
  }

  #catchUpFrom(after: number | undefined): void {
    const { inbox } = this.#host;
    this.catchUp();
    // A number that no notification has had yet is of another server, whose clock was ahead: its client has to forget it.
    if (after === undefined || after > inbox.seq) this.#send({ type: 'inbox', seq: inbox.seq });
  }

  async #authenticate(token: string): Promise<void> {
    const principal = await this.socket.authenticate?.(token);
    this.#send(authOkFrame(principal ?? { id: this.userId, scopes: [] }));
  }

  async #answer(frame: ChatFrame): Promise<void> {
    this.#checkLimit();
    this.#pending++;
    try {
      const reply = await this.#host.streams.start(commandOf(frame, this.#asker));
      // A repeated request on the same connection: it is already being answered.
      if (this.#readers.get(reply.streamId)) return;
      this.#deliver(reply, reply.read(), frame.positions, frame.requestId);
    } finally {
      this.#settled();
    }
  }

  async #resume(streamId: string, position: number, positions: boolean): Promise<void> {
    if (!this.reads(streamId)) this.#checkLimit();
    this.#pending++;
    try {
      const reply = await this.#host.streams.find(streamId, this.socket.principal);
      if (!reply) {
        this.#send(errorFrame(new WaggleError('STREAM_GONE', { streamId }), { streamId }));
        return;
      }
      const earlier = this.#readers.get(streamId);
      const reader = reply.read(position);
      // The new reader comes first, so that the reply always has one.
      void earlier?.return();
      this.#deliver(reply, reader, positions);
    } finally {
      this.#settled();
    }
  }

  /** A reply was started or found, or not: what is delivered counts by itself. */
  #settled(): void {
    this.#pending--;
    this.#host.onDelivered();
  }

  async #give(
    { streamId, id }: { readonly streamId: string; readonly id: string },
    answer: ClientAnswer,
  ): Promise<void> {
    const reply = await this.#host.streams.find(streamId, this.socket.principal);
    if (!reply) throw new WaggleError('TOOL_CALL_UNKNOWN', { id: id.slice(0, 128) });
    await reply.answer(id, answer);
  }

  async #cancel(streamId: string): Promise<void> {
    const reply = await this.#host.streams.find(streamId, this.socket.principal);
    const receipt = await reply?.cancel('client');
    if (!receipt) throw new WaggleError('STREAM_UNKNOWN', { streamId });
    // A reader of the stream gets this frame from the log.
    if (!this.#readers.get(streamId))
      this.#send({ type: 'cancelled', streamId, reason: 'client', ...receipt });
  }

  async #answerWhole(frame: ChatFrame): Promise<void> {
    this.#checkLimit();
    const { requestId } = frame;
    const abort = new AbortController();
    this.#whole.add(abort);
    try {
      // Without a requestId the client cannot come back for it.
      const onDisconnect = frame.onDisconnect ?? (requestId ? 'continue' : 'cancel');
      const reply = await this.#host.streams.start(commandOf({ ...frame, onDisconnect }, this.#asker));
      const answer = await reply.whole(abort.signal);
      const { conversationId } = reply;
      this.#send({ type: 'message', ...answer, conversationId, ...(requestId && { requestId }) });
    } finally {
      this.#whole.delete(abort);
      this.#host.onDelivered();
    }
  }

  /** Sends the reply until its end, or until its reader leaves. */
  #deliver({ streamId }: Reply, reader: ReplyReader, positions: boolean, requestId?: string): void {
    // It may have closed while the reply was started or found.
    if (this.socket.closed) return void reader.return();
    this.#readers.set(streamId, reader);
    const delivery = new Delivery(this.socket, reader, positions, (error) => {
      if (this.#readers.get(streamId) === reader) this.#readers.delete(streamId);
      this.#host.onDelivered();
      if (error) this.#refuse(error, requestId);
    });
    delivery.readable();
  }

  #checkLimit(): void {
    const { maxStreamsPerConnection: limit } = this.#host.config;
    if (this.#busy >= limit) throw new WaggleError('BUSY', { limit, what: 'replies on one connection' });
  }

  /** Replies and tasks that are asked for or in progress. */
  get #busy(): number {
    const { size: readers = 0 } = this.#readersIfAny ?? {};
    const { size: whole = 0 } = this.#wholeIfAny ?? {};
    return this.#pending + readers + whole + (this.#tasksIfAny?.size ?? 0);
  }

  /** Whether a frame is within the limit of frames per second. */
  #takesFrame(): boolean {
    const now = performance.now();
    this.#rateIfAny ??= new RateLimit(this.#host.config.maxFramesPerSecond, now);
    return this.#rateIfAny.take(now);
  }

  get #readers(): IdMap<ReplyReader> {
    this.#readersIfAny ??= new IdMap();
    return this.#readersIfAny;
  }

  get #whole(): Set<AbortController> {
    this.#wholeIfAny ??= new Set();
    return this.#wholeIfAny;
  }

  get #tasks(): SessionTasks {
    this.#tasksIfAny ??= new SessionTasks(this.socket, this.#asker, this.#host);
    return this.#tasksIfAny;
  }

  get #asker(): Asker {
    const { principal, id: connection } = this.socket;
    const { userId, clientId } = this;
    return { userId, clientId, principal, connection };
  }

  get #who(): { readonly connection: string; readonly clientId: string } {
    return { connection: this.socket.id, clientId: this.clientId };
  }

  #tooMany(): void {
    this.close(closeCode.policyViolation, 'too many frames');
  }

  #refuse(cause: unknown, requestId: string | undefined): void {
    const error = toClientError(cause);
    if (error.code === 'INTERNAL')
      this.#host.logger.error({ err: cause, clientId: this.clientId }, 'a frame could not be handled');
    this.#host.bus.emit('message:refused', { ...this.#who, code: error.code });
    this.#send(errorFrame(error, requestId === undefined ? {} : { requestId }));
    // Only frames that are not JSON count: their client speaks another protocol.
    this.#bad = error.code === 'INVALID_JSON' ? this.#bad + 1 : 0;
    if (this.#bad >= this.#host.config.maxBadFrames)
      this.close(closeCode.badFrames, 'too many frames that cannot be read');
  }

  #send(frame: ServerFrame): void {
    this.socket.send(JSON.stringify(frame));
  }
}
