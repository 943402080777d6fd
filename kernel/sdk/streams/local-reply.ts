import type { Reservation } from '../../contracts/access.js';
import type { StreamChunk } from '../../contracts/agent.js';
import type { Chat, ChatChunk, ChatSink, ClientAnswer } from '../../contracts/chat.js';
import type {
  CancelReason,
  CancelReceipt,
  LogEntry,
  PieceEntry,
  Reply,
  ReplyProgress,
  ReplyReader,
  StreamFrame,
  TerminalFrame,
  Timings,
  WholeReply,
} from '../../contracts/stream.js';
import type { Release } from '../../contracts/task.js';
import type { Usage } from '../../contracts/usage.js';
import { type ClientErrorCode, toClientError, WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { LazyAbortController } from '../lazy-abort-controller.js';
import { type AgentCallSource, LazyAgentCall } from '../lazy-agent-call.js';
import type { Place } from '../linked-list.js';
import { settleWithin } from '../settle-within.js';
import { AwaitedAnswers } from './awaited-answers.js';
import type { StreamsConfig } from './config.js';
import type { ConversationTurn } from './conversation-turns.js';
import { FrameWriter, type ReplyIds, type ReplyRequest } from './frame-writer.js';
import type { Entry } from './log-entry.js';
import { type LogEvents, ReplyLog, type Tap } from './reply-log.js';
import { RunningWork } from './running-work.js';
import type { SharedTurn } from './shared-turn.js';
import { wholeReply } from './whole-reply.js';

/** The end of a reply. */
export type Ending = { readonly timings: Timings } & (
  | { readonly type: 'finished'; readonly agent: string; readonly usage?: Usage; readonly tokens: number }
  | { readonly type: 'failed'; readonly error: WaggleError<ClientErrorCode> }
  | { readonly type: 'cancelled'; readonly reason: CancelReason }
);

/** The owner of a reply. */
export interface ReplyEvents {
  loggerOf(reply: LocalReply): Logger;
  started(reply: LocalReply, agent: string): void;
  /** A log has grown by this many characters and pieces; false when there is no room for them. */
  grew(chars: number, tokens: number): boolean;
  /** Nothing works on a reply any more, and its request is dropped: this many characters are free. */
  stopped(reply: LocalReply, chars: number): void;
  /** The readers of a log have to be woken soon. */
  stale(log: ReplyLog): void;
  /** Called before an agent is asked: a promise where it has to wait for a later turn of the event loop. */
  starting(): Promise<void> | undefined;
  ended(reply: LocalReply, ending: Ending): void;
  /**
   * The first content is in the log; readers get it, and the end of the reply, once the promise resolves. Where it rejects, the
   * reply fails without them.
   */
  readonly releasing: ((reply: LocalReply) => Promise<void>) | undefined;
}

/** Pulls one answer from the chat agent into its log. */
export class LocalReply implements Reply, ChatSink, LogEvents, AgentCallSource {
  readonly #log: ReplyLog;
  readonly #writer: FrameWriter;
  /** Aborted by a cancel and by a failure: the reply leaves the line, and its agent stops. */
  readonly abort = new LazyAbortController();
  readonly #acceptedAt = performance.now();
  /** The part of its request that is kept. */
  readonly ids: ReplyIds;
  failure: WaggleError<ClientErrorCode> | undefined;
  keyId: string | undefined;
  /** Its place among all that have not ended. */
  unended: Place<LocalReply> | undefined;
  /** Its turn in its conversation, until its agent has stopped; undefined where it has none. */
  turn: ConversationTurn | undefined;
  /** The same where other processes share the conversation. */
  sharedTurn: SharedTurn | undefined;
  /** Its share of the replies that its user may have at once. */
  share: Reservation | undefined;
  /** Until its agent has stopped. */
  #request: ReplyRequest | undefined;
  #requestChars: number;
  readonly #config: StreamsConfig;
  readonly #events: ReplyEvents;
  #queuedMs: number | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #grace: NodeJS.Timeout | undefined;
  #pumped: Promise<void> | undefined;
  /** Gives its place in the line back. */
  #leave: Release | undefined;
  #firstTokenMs: number | undefined;
  #cancelling:
    | {
        readonly reason: CancelReason;
        readonly at: number;
        readonly stops: ReturnType<RunningWork['toBeStopped']>;
      }
    | undefined;
  #receipt: CancelReceipt | undefined;
  readonly #work = new RunningWork();
  #awaitedIfAny: AwaitedAnswers | undefined;
  #hadReaders = false;
  /** Readers in other processes. */
  #readersElsewhere = 0;
  #hasContent = false;
  /** Resolves when content is no longer held back; undefined while none is. */
  #held: Promise<void> | undefined;
  /** The end that comes after it. */
  #heldEnd: (() => void) | undefined;
  #logger: Logger | undefined;

  /** `requestChars`: the characters of the request. */
  constructor(request: ReplyRequest, requestChars: number, config: StreamsConfig, events: ReplyEvents) {
    const { streamId, conversationId, requestId, userId, agent } = request;
    this.ids = { streamId, conversationId, requestId, userId, agent };
    this.#request = request;
    this.#requestChars = requestChars;
    this.#config = config;
    this.#events = events;
    this.#log = new ReplyLog(streamId, this);
    this.#writer = new FrameWriter(this.ids, this.#log);
  }

  get streamId(): string {
    return this.ids.streamId;
  }

  get conversationId(): string {
    return this.ids.conversationId;
  }

  get userId(): string {
    return this.ids.userId;
  }

  get ended(): boolean {
    return this.#log.ended;
  }

  get position(): number {
    return this.#log.position;
  }

  get wasRead(): boolean {
    return this.#log.wasRead;
  }

  get readers(): number {
    return this.#log.readers;
  }

  /** The number of its readers in other processes, which count like those of this one. */
  set readersElsewhere(count: number) {
    if (this.#readersElsewhere === count) return;
    this.#readersElsewhere = count;
    this.readersChanged(this.#log.readers);
  }

  /** For one who keeps the log elsewhere. */
  tap(grew: () => void): Tap {
    return this.#log.tap(grew);
  }

  /** The position of what its readers may have. */
  get shownPosition(): number {
    return this.#log.shownPosition;
  }

  /** All entries that its readers may have. */
  entries(): readonly Entry[] {
    return this.#log.all();
  }

  get progress(): ReplyProgress | undefined {
    if (this.ended) return undefined;
    const { agent, tokens } = this.#writer;
    const model = this.#request?.model;
    const asked = {
      agent,
      ...(model !== undefined && { model }),
      readers: this.readers + this.#readersElsewhere,
    };
    if (tokens === 0) return { ...asked, phase: this.#queuedMs === undefined ? 'waiting' : 'starting' };
    return { ...asked, phase: 'streaming', quietMs: this.#log.quietMs };
  }

  get command(): ReplyRequest | undefined {
    return this.#request;
  }

  /** Characters of its answer so far. */
  get chars(): number {
    return this.#writer.chars;
  }

  /** Reports to readers how many replies are ahead. */
  wait(ahead: number): void {
    this.#append(this.#writer.queued(ahead));
  }

  /** For its agent. */
  get logger(): Logger {
    this.#logger ??= this.#events.loggerOf(this);
    return this.#logger;
  }

  /** Waits for its place in the line, then asks the chat agent. Called once. */
  async run(place: Promise<Release>, chat: Chat): Promise<void> {
    try {
      this.#leave = await place;
      const turn = this.#log.ended ? undefined : this.#events.starting();
      if (turn) await turn;
    } catch (error) {
      if (this.#log.ended) return;
      if (WaggleError.is(error, 'QUEUE_FULL') || WaggleError.is(error, 'ENGINE_UNAVAILABLE'))
        this.fail(error);
      else await this.cancel('shutdown');
      return;
    }
    if (this.#log.ended) {
      this.#leave?.();
      return;
    }
    const { replyTimeoutMs: timeoutMs } = this.#config;
    this.#queuedMs = this.#elapsedMs;
    this.#deadline = setTimeout(() => {
      const { agent } = this.#writer;
      this.fail(new WaggleError('AGENT_TIMEOUT', { agent, phase: 'the whole answer', timeoutMs }));
    }, timeoutMs);
    this.#pumped = this.#pump(chat);
  }

  /** Takes chunks from the chat agent. */
  write(batch: readonly ChatChunk[]): void {
    // After a cancel the client has been promised that nothing follows.
    if (this.#cancelling || this.#isOver) {
      this.abort.signal.throwIfAborted();
      return;
    }
    const hadStarted = this.#writer.started;
    const { chars, tokens } = this.#writer;
    const done = this.#hasContent ? this.#writer.write(batch) : this.#writeFirst(batch);
    if (!hadStarted && this.#writer.started) this.#events.started(this, this.#writer.agent);
    if (this.#writer.tokens > 0) this.#firstTokenMs ??= this.#elapsedMs;
    const { replyLimitChars } = this.#config;
    if (!this.#events.grew(this.chars - chars, this.#writer.tokens - tokens))
      this.#cutOff('the server has no room for more of its answer');
    else if (this.chars > replyLimitChars)
      this.#cutOff(`its answer is longer than ${replyLimitChars} characters`);
    else if (done) this.#finish(done);
  }

  #writeFirst(batch: readonly ChatChunk[]): Extract<StreamChunk, { type: 'done' }> | undefined {
    const { releasing } = this.#events;
    const at = releasing ? batch.findIndex(isContent) : -1;
    if (!releasing || at === -1) return this.#writer.write(batch);
    this.#hasContent = true;
    this.#writer.write(batch.slice(0, at));
    this.#log.hold();
    const done = this.#writer.write(batch.slice(at));
    this.#held = releasing(this).then(
      () => this.#release(),
      (error) => this.#refuse(toClientError(error)),
    );
    return done;
  }

  #release(): void {
    if (!this.#held) return;
    this.#held = undefined;
    this.#log.release();
    this.#heldEnd?.();
    this.#heldEnd = undefined;
  }

  #refuse(error: WaggleError<ClientErrorCode>): void {
    if (!this.#held) return;
    this.#dropHeld();
    this.fail(error);
  }

  #dropHeld(): void {
    this.#held = this.#heldEnd = undefined;
    this.#log.dropHeld();
  }

  /** Whether nothing more is taken from the agent. */
  get #isOver(): boolean {
    return this.#log.ended || this.#heldEnd !== undefined;
  }

  /** The text of its answer so far. */
  get text(): string {
    return this.#writer.text;
  }

  answerTo<Type extends ClientAnswer['type']>(
    type: Type,
    callId: string,
    wait: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<Extract<ClientAnswer, { readonly type: Type }> | undefined> {
    this.#awaitedIfAny ??= new AwaitedAnswers();
    return this.#awaitedIfAny.wait(type, callId, wait);
  }

  answer(callId: string, answer: ClientAnswer): void {
    if (!this.#awaitedIfAny?.give(callId, answer))
      throw new WaggleError('TOOL_CALL_UNKNOWN', { id: callId.slice(0, 128) });
  }

  began(kind: 'agent' | 'tool', name: string): (hasStopped?: boolean) => void {
    return this.#work.begin(kind, name);
  }

  /** Its log has something new. */
  grew(): void {
    this.#events.stale(this.#log);
  }

  /** A lost connection is not a cancel: the reply goes on for a grace period, in which a client can resume it. */
  readersChanged(readers: number): void {
    const count = readers + this.#readersElsewhere;
    clearTimeout(this.#grace);
    this.#hadReaders ||= count > 0;
    const { onDisconnect } = this.#request ?? {};
    if (count > 0 || this.#log.ended || onDisconnect === 'finish') return;
    const atOnce = onDisconnect === 'cancel';
    const abandon = () => void this.cancel(atOnce ? 'disconnected' : 'abandoned');
    if (atOnce && this.#hadReaders) abandon();
    else this.#grace = setTimeout(abandon, this.#config.disconnectGraceMs);
  }

  read(position?: number): ReplyReader {
    return this.#log.read(position);
  }

  readPieces(options?: { readonly merge?: boolean }): ReplyReader<LogEntry | PieceEntry> {
    return this.#log.readPieces(options);
  }

  /** The agent that answers; the requested one until that is known. */
  get agent(): string {
    return this.#writer.agent;
  }

  whole(signal?: AbortSignal): Promise<WholeReply> {
    return wholeReply(this, signal);
  }

  async cancel(reason: CancelReason): Promise<CancelReceipt | undefined> {
    const isFirst = !this.#log.ended && !this.#cancelling;
    if (isFirst) this.#cancelling = { reason, at: performance.now(), stops: this.#work.toBeStopped() };
    if (!this.#log.ended) {
      this.abort.abort();
      // An agent that ignores its signal is left to itself; its further output is dropped.
      if (this.#pumped) await settleWithin(this.#pumped, this.#config.cancelTimeoutMs);
      if (this.#held) await settleWithin(this.#held, this.#config.cancelTimeoutMs);
    }
    this.#endCancelled();
    return isFirst ? this.#receipt : undefined;
  }

  async #pump(chat: Chat): Promise<void> {
    try {
      await this.#ask(chat);
      if (this.#held) await this.#held;
      if (!this.#cancelling && !this.#log.ended) {
        const { agent } = this.#writer;
        const why = 'it ended without "done"';
        this.fail(new WaggleError('AGENT_DISCONNECTED', { agent, why }));
      }
    } catch (error) {
      if (!this.#cancelling) this.fail(toClientError(error));
      if (this.#held) await this.#held;
    }
    // Agents below the one that has ended need a moment longer to close their sockets.
    if (this.#cancelling) await settleWithin(this.#work.whenIdle(), this.#config.cancelTimeoutMs);
    this.#endCancelled();
    this.#dropRequest();
    this.#pumped = undefined;
  }

  // A function of its own, so that its locals do not keep the request alive afterwards.
  #ask(chat: Chat): Promise<void> {
    const { replyTimeoutMs: timeoutMs } = this.#config;
    const request = this.#request as ReplyRequest;
    const { userId, connection } = request;
    return chat.reply(request, new LazyAgentCall(this, { timeoutMs, userId, connection }), this);
  }

  /** Readers that resume or join need nothing of the request. */
  #dropRequest(): void {
    this.#request = undefined;
    const chars = this.#requestChars;
    this.#requestChars = 0;
    this.#events.stopped(this, chars);
  }

  #cutOff(why: string): void {
    this.fail(new WaggleError('AGENT_FAILED', { agent: this.#writer.agent, why }));
  }

  #finish(done: Extract<StreamChunk, { type: 'done' }>): void {
    const { agent, tokens } = this.#writer;
    const { usage } = done;
    const timings = this.#timings;
    const ending = { type: 'finished', agent, ...(usage && { usage }), tokens, timings } as const;
    this.#endReleased(() => this.#end(this.#writer.end(done, timings), ending));
  }

  /** Ends it with an error, if it has not ended. */
  fail(error: WaggleError<ClientErrorCode>): void {
    const timings = this.#timings;
    this.#endReleased(() => {
      // Without its cause, which may hold anything; that goes to the log only.
      if (!this.#log.ended) this.failure = new WaggleError(error.code, error.details);
      this.#end(this.#writer.error(error), { type: 'failed', error, timings });
    });
    this.abort.abort(error);
  }

  /** The end comes after all content. */
  #endReleased(end: () => void): void {
    if (this.#held) this.#heldEnd ??= end;
    else end();
  }

  #endCancelled(): void {
    if (!this.#cancelling || this.#log.ended) return;
    if (this.#held) this.#dropHeld();
    const { reason, at, stops } = this.#cancelling;
    this.#receipt = { upstreamClosedMs: Math.round(performance.now() - at), ...stops() };
    const ending = { type: 'cancelled', reason, timings: this.#timings } as const;
    this.#end(this.#writer.cancelled(reason, this.#receipt), ending);
  }

  #end(frame: TerminalFrame, ending: Ending): void {
    if (this.#log.ended) return;
    clearTimeout(this.#deadline);
    clearTimeout(this.#grace);
    this.#append(frame);
    // A running agent needs the request until it has stopped.
    if (!this.#pumped) this.#dropRequest();
    this.#events.ended(this, ending);
    this.#leave?.(this.failure);
    // An ended reply is kept for a while, and needs none of these.
    this.#deadline = this.#grace = this.#leave = this.#logger = undefined;
  }

  #append(frame: StreamFrame): void {
    this.#log.add(frame);
    this.#log.announce();
  }

  get #timings(): Timings {
    const totalMs = this.#elapsedMs;
    const firstTokenMs = this.#firstTokenMs;
    const queuedMs = this.#queuedMs ?? totalMs;
    return { queuedMs, ...(firstTokenMs !== undefined && { firstTokenMs }), totalMs };
  }

  get #elapsedMs(): number {
    return Math.round((performance.now() - this.#acceptedAt) * 10) / 10;
  }
}

/** Whether it is more than where a reply waits and who answers it: an agent that is asked again would not repeat it. */
function isContent({ type }: ChatChunk): boolean {
  return type !== 'queued' && type !== 'agent';
}
