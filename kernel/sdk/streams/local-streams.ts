import type { Limits, Principal, Reservation } from '../../contracts/access.js';
import type { ChatMessage } from '../../contracts/agent.js';
import type { EventBus } from '../../contracts/bus.js';
import type { Chat } from '../../contracts/chat.js';
import type { ChatStreams, Reply, StartCommand, StreamStats } from '../../contracts/stream.js';
import type { Release, TaskDefinition, TaskEngine, TaskPriority } from '../../contracts/task.js';
import { WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { mayActFor } from '../acting-user.js';
import { charsIn } from '../chars.js';
import { conversationKey } from '../conversation.js';
import { deferred } from '../deferred.js';
import { ExpiringSet } from '../expiring-set.js';
import { traceContextOf } from '../headers.js';
import { HeldChars } from '../held-chars.js';
import { IdMap } from '../id-map.js';
import { KeyedRuns, type RequestKey, requestKey } from '../keyed-runs.js';
import { LinkedList } from '../linked-list.js';
import { randomId } from '../random-id.js';
import { settleWithin } from '../settle-within.js';
import type { StreamsConfig } from './config.js';
import { type ConversationTurn, ConversationTurns } from './conversation-turns.js';
import { KeyedStarts } from './keyed-starts.js';
import { type Ending, LocalReply, type ReplyEvents } from './local-reply.js';
import { LogWaker } from './log-waker.js';
import { PlaceRequest } from './place-request.js';
import type { ReplyLog } from './reply-log.js';
import type { SharedTurn } from './shared-turn.js';
import { StartSlices } from './start-slices.js';

const retryAfterMs = 1000;

/** The task under which replies wait and count. */
const chatTask = 'chat:message';

/** The ids of a new reply. */
export interface ReplyNames {
  readonly streamId: string;
  readonly conversationId: string;
}

/** A request that is about to become a reply. */
export interface Asked extends ReplyNames {
  readonly command: StartCommand;
  readonly key: RequestKey | undefined;
  /** The key of its conversation; undefined where it has no memory. */
  readonly conversation: string | undefined;
}

/** Follows the replies of this process, so that others know of them. */
export interface ReplyWatcher {
  /**
   * A reply enters the line of its conversation, where that is shared with other processes; a promise where others may be before
   * it. @throws BUSY, ENGINE_UNAVAILABLE
   */
  entering?(asked: Asked): SharedTurn | Promise<SharedTurn>;
  /** A reply was accepted, and is about to run. */
  accepted(reply: LocalReply): void;
  /** The first content of a reply is in its log; readers get it once the promise resolves. */
  releasing(reply: LocalReply): Promise<void>;
  /** `isAnswered`: the same request is not answered again. */
  ended(reply: LocalReply, isAnswered: boolean): void;
  /** The log of a reply that has ended is dropped. */
  forgotten(reply: LocalReply): void;
}

/** Starts replies on a place of the task engine, and keeps them for a while after their end. */
export class LocalStreams implements ChatStreams, ReplyEvents {
  /** The limits and the counts of replies. Only `admit` uses it. */
  readonly task: TaskDefinition;
  readonly #chat: Chat;
  readonly #tasks: TaskEngine;
  readonly #config: StreamsConfig;
  readonly #bus: EventBus;
  readonly #logger: Logger;
  /** Absent without a plugin that counts usage. */
  readonly #limits: Limits | undefined;
  readonly #replies = new IdMap<LocalReply>();
  readonly #keyed = new KeyedRuns<LocalReply>();
  readonly #starts = new KeyedStarts<LocalReply>();
  readonly #unended = new LinkedList<LocalReply>();
  readonly #kept: ExpiringSet<LocalReply>;
  readonly #slices = new StartSlices();
  readonly #turns: ConversationTurns;
  /** Replies that began in this turn of the event loop. Most get a reader before it is over, and need no grace period. */
  #fresh: LocalReply[] = [];
  readonly #waker: LogWaker;
  readonly #watcher: ReplyWatcher | undefined;
  readonly releasing: ReplyEvents['releasing'];
  readonly #room: HeldChars;
  /** Replies that wait in conversations that other processes share. */
  #waitingForTurn = 0;
  #tokens = 0;
  #draining = false;
  #onEmpty: (() => void) | undefined;

  constructor(
    chat: Chat,
    tasks: TaskEngine,
    config: StreamsConfig,
    bus: EventBus,
    logger: Logger,
    limits?: Limits,
    watcher?: ReplyWatcher,
  ) {
    this.#chat = chat;
    this.#tasks = tasks;
    this.#config = config;
    this.#bus = bus;
    this.#logger = logger;
    this.#limits = limits;
    this.#waker = new LogWaker(logger);
    this.#watcher = watcher;
    this.releasing = watcher && ((reply) => watcher.releasing(reply));
    this.#turns = new ConversationTurns(config);
    this.#kept = new ExpiringSet(config, (reply) => this.#forget(reply));
    this.#room = new HeldChars(config, this.#kept);
    this.task = {
      name: chatTask,
      description: 'Gives one answer',
      lane: 'main',
      get concurrency() {
        return config.maxRunning;
      },
      get maxQueued() {
        return config.maxWaiting;
      },
      run: () => {
        throw new WaggleError('TASK_FAILED', { task: chatTask, why: 'only the chat streams run it' });
      },
    };
  }

  get figures(): StreamStats {
    return this.stats;
  }

  get stats(): StreamStats {
    let readers = 0;
    for (const reply of this.#replies.values()) readers += reply.readers;
    const { running = 0, waiting = 0 } = this.#tasks.countsOf(chatTask) ?? {};
    const kept = this.#kept.size;
    const all = waiting + this.#turns.waiting + this.#waitingForTurn;
    return { running, waiting: all, kept, readers, chars: this.#room.count, tokens: this.#tokens };
  }

  /** The reply to the same request. @throws IDEMPOTENCY_MISMATCH when another request has its id */
  known(key: RequestKey | undefined): LocalReply | undefined {
    const known = this.#keyed.find(key);
    if (!known) this.#keyed.claim(key);
    return known;
  }

  /**
   * `names`: unguessable ones for the reply, and for its conversation where the command names none.
   * @throws RATE_LIMITED, QUEUE_FULL, BUSY, SHUTTING_DOWN, IDEMPOTENCY_MISMATCH
   */
  async start(
    command: StartCommand,
    names: ReplyNames = { streamId: randomId(), conversationId: randomId() },
  ): Promise<LocalReply> {
    const { conversationId = names.conversationId, stateless, userId } = command;
    const conversation = stateless ? undefined : conversationKey({ userId, conversationId });
    const asked = { command, streamId: names.streamId, conversationId, conversation, key: keyOf(command) };
    return this.#starts.run(
      asked.key,
      () => this.known(asked.key),
      () => this.#start(asked),
    );
  }

  /** At once where limits and conversations are those of this process. */
  #start(asked: Asked): LocalReply | Promise<LocalReply> {
    const before = this.#check(asked);
    const { principal } = asked.command;
    const share = principal && this.#limits?.reply(principal, asked.streamId);
    const shared = asked.conversation === undefined ? undefined : this.#watcher?.entering?.(asked);
    if (share instanceof Promise || shared instanceof Promise) return this.#acceptLater(asked, share, shared);
    return this.#accept(asked, before, share, shared);
  }

  async #acceptLater(
    asked: Asked,
    counting: Reservation | Promise<Reservation | undefined> | undefined,
    entering: SharedTurn | Promise<SharedTurn> | undefined,
  ): Promise<LocalReply> {
    const [share, shared] = await Promise.allSettled([counting, entering]);
    try {
      if (share.status === 'rejected') throw share.reason;
      if (shared.status === 'rejected') throw shared.reason;
      return this.#accept(asked, this.#check(asked), share.value, shared.value);
    } catch (error) {
      if (share.status === 'fulfilled') share.value?.settle(0);
      if (shared.status === 'fulfilled') shared.value?.leave();
      throw error;
    }
  }

  /** The turn before it in a conversation of this process. @throws SHUTTING_DOWN, BUSY */
  #check({ conversation }: Asked): ConversationTurn | undefined {
    if (this.#draining) throw new WaggleError('SHUTTING_DOWN', { retryAfterMs });
    return conversation === undefined || this.#watcher?.entering ? undefined : this.#turns.last(conversation);
  }

  #accept(
    { command, streamId, conversationId, conversation, key }: Asked,
    before: ConversationTurn | undefined,
    share: Reservation | undefined,
    shared: SharedTurn | undefined,
  ): LocalReply {
    const { priority, userId } = command;
    const messages = command.messages?.map(inParts);
    const requestChars = charsIn(...Object.values({ ...command, messages }));
    const request = { ...command, id: streamId, streamId, conversationId };
    const reply = new LocalReply(request, requestChars, this.#config, this);
    reply.share = share;
    reply.sharedTurn = shared;
    let place: Promise<Release>;
    try {
      this.#takeRoom(requestChars);
      if (shared) shared.onAhead((ahead) => reply.wait(ahead));
      else if (conversation !== undefined) reply.turn = this.#turns.enter(conversation, reply, before);
      const first = shared ? this.#waitForOthers(shared) : reply.turn?.first?.promise;
      place = first ? this.#admitAfter(first, reply, priority) : this.#admit(reply, priority);
    } catch (error) {
      share?.settle(0);
      this.stopped(reply, requestChars);
      throw error;
    }
    this.#replies.set(streamId, reply);
    this.#keyed.keep(key, reply);
    reply.unended = this.#unended.push(reply);
    this.#watcher?.accepted(reply);
    void reply.run(place, this.#chat);
    this.#lookLater(reply);
    this.#bus.emit('chat:accepted', { streamId, userId, conversationId, ...traceContextOf(command) });
    return reply;
  }

  async find(streamId: string, principal?: Principal): Promise<LocalReply | undefined> {
    const reply = this.#replies.get(streamId);
    return reply && mayActFor(principal, reply.userId) ? reply : undefined;
  }

  list(): readonly Reply[] {
    return [...this.#replies.values()];
  }

  runningOf(userId: string): readonly Reply[] {
    return [...this.#unended].filter((reply) => reply.userId === userId);
  }

  /** Refuses new replies, lets running and waiting ones end until the deadline, then cancels the rest. */
  async drain(deadline: AbortSignal): Promise<void> {
    this.#draining = true;
    const empty = deferred();
    this.#onEmpty = empty.resolve;
    if (this.#unended.size > 0) await settleWithin(empty.promise, deadline);
    await this.#cancelAll();
  }

  /** Cancels all replies that have not ended, and forgets the others. */
  async close(): Promise<void> {
    this.#draining = true;
    await this.#cancelAll();
    this.#kept.clear();
  }

  /** Forgets a reply that has ended at once: its log is another one now. */
  drop(reply: LocalReply): void {
    this.#replies.delete(reply.streamId);
  }

  starting(): Promise<void> | undefined {
    return this.#slices.enter();
  }

  loggerOf(reply: LocalReply): Logger {
    return this.#logger.child(bindingsOf(reply));
  }

  started(reply: LocalReply, agent: string): void {
    this.#bus.emit('chat:started', { streamId: reply.streamId, userId: reply.userId, agent });
  }

  grew(chars: number, tokens: number): boolean {
    this.#tokens += tokens;
    return this.#room.add(chars);
  }

  stopped(reply: LocalReply, chars: number): void {
    this.#room.free(chars);
    if (reply.turn) this.#turns.leave(reply.turn);
    reply.sharedTurn?.leave();
    reply.turn = reply.sharedTurn = undefined;
  }

  stale(log: ReplyLog): void {
    this.#waker.stale(log);
  }

  ended(reply: LocalReply, ending: Ending): void {
    if (reply.unended) this.#unended.remove(reply.unended);
    reply.unended = undefined;
    reply.share?.settle(0);
    reply.share = undefined;
    if (reply.turn) this.#turns.ended(reply.turn);
    reply.sharedTurn?.ended();
    this.#report(reply, ending);
    // The same request after a failure is answered again; a cancel by the client stays.
    const { type } = ending;
    const isAnswered = type === 'finished' || (type === 'cancelled' && ending.reason === 'client');
    if (!isAnswered) this.#keyed.drop(reply);
    this.#watcher?.ended(reply, isAnswered);
    this.#kept.keep(reply);
    if (this.#unended.size === 0) this.#onEmpty?.();
  }

  /** Begins the grace period of a reply that has no reader after this turn of the event loop. */
  #lookLater(reply: LocalReply): void {
    if (this.#fresh.length === 0)
      setImmediate(() => {
        const fresh = this.#fresh;
        this.#fresh = [];
        for (const each of fresh) each.readersChanged(each.readers);
      });
    this.#fresh.push(reply);
  }

  /** @throws QUEUE_FULL */
  #takeRoom(chars: number): void {
    if (this.grew(chars, 0)) return;
    const limit = this.#config.totalLimitChars;
    throw new WaggleError('QUEUE_FULL', { limit, what: 'characters of replies', retryAfterMs });
  }

  /** Asks for a place in the line. @throws QUEUE_FULL, SHUTTING_DOWN */
  #admit(reply: LocalReply, priority: TaskPriority | undefined): Promise<Release> {
    return this.#tasks.admit(chatTask, new PlaceRequest(reply, priority));
  }

  /** The same once it is the reply's turn in its conversation: until then it takes no place from others. */
  async #admitAfter(
    turn: Promise<void>,
    reply: LocalReply,
    priority: TaskPriority | undefined,
  ): Promise<Release> {
    await turn;
    return this.#admit(reply, priority);
  }

  /** Waits for the replies of all processes that are before it; undefined where there are none. */
  #waitForOthers(turn: SharedTurn): Promise<void> | undefined {
    const first = turn.wait();
    if (!first) return undefined;
    this.#waitingForTurn++;
    const done = () => void this.#waitingForTurn--;
    first.then(done, done);
    return first;
  }

  async #cancelAll(): Promise<void> {
    await Promise.all([...this.#unended].map((reply) => reply.cancel('shutdown')));
  }

  #forget(reply: LocalReply): void {
    this.#keyed.drop(reply);
    // Another run may have the same id.
    if (this.#replies.get(reply.streamId) === reply) this.#replies.delete(reply.streamId);
    this.#room.free(reply.chars);
    this.#watcher?.forgotten(reply);
  }

  #report(reply: LocalReply, ending: Ending): void {
    const { streamId, userId } = reply;
    const { timings } = ending;
    const logger = this.#logger;
    if (ending.type === 'finished') {
      const { agent, tokens } = ending;
      const used = ending.usage && { usage: ending.usage };
      if (logger.isLevelEnabled('info'))
        logger.info({ ...bindingsOf(reply), agent, ...timings, ...used }, 'reply finished');
      this.#bus.emit('chat:finished', { streamId, userId, agent, tokens, timings, ...used });
    } else if (ending.type === 'failed') {
      const { error } = ending;
      logger.warn({ ...bindingsOf(reply), err: error, reason: error.code }, 'reply failed');
      this.#bus.emit('chat:failed', { streamId, userId, code: error.code, error, timings });
    } else {
      logger.info({ ...bindingsOf(reply), reason: ending.reason }, 'reply cancelled');
      this.#bus.emit('chat:cancelled', { streamId, userId, reason: ending.reason, timings });
    }
  }
}

/** Fields of every log line about a reply. */
function bindingsOf({ streamId, ids: { requestId, userId } }: LocalReply) {
  // The full id would give access to the reply.
  return { stream: streamId.slice(0, 6), requestId, userId };
}

/** The key of a request, undefined without a `requestId`: its user and `requestId`, with a fingerprint of everything that decides on the answer. */
export function keyOf(command: StartCommand): RequestKey | undefined {
  const { userId, requestId, endpoint, content, messages, stateless, conversationId } = command;
  if (requestId === undefined) return undefined;
  const { agent, model, options, replaces } = command;
  const asked = {
    endpoint,
    content,
    messages: messages?.map(inParts),
    stateless,
    conversationId,
    agent,
    model,
    options,
    replaces,
  };
  return requestKey(userId, requestId, asked);
}

/** A message without its images where its parts hold the same: a picture counts once. */
function inParts(message: ChatMessage): ChatMessage {
  const { images, parts, ...rest } = message;
  if (!images || !parts) return message;
  const shown = new Set(parts.map((part) => (part.type === 'image' ? part.url : undefined)));
  return images.every((url) => shown.has(url)) ? { ...rest, parts } : message;
}
