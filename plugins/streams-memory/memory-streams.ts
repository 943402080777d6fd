import {
  type Chat,
  type ChatStreams,
  type EventBus,
  type Logger,
  type Reply,
  type StartCommand,
  type StreamStats,
  type TaskCall,
  type TaskDefinition,
  type TaskEngine,
  timerMs,
  WaggleError,
} from '#kernel';
import { charsIn, ExpiringSet, KeyedRuns, type RequestKey, randomId, requestKey, traceContextOf } from '#sdk';
import type { Config } from './config.js';
import { type Ending, MemoryReply, type ReplyEvents } from './memory-reply.js';
import type { ReplyLog } from './reply-log.js';

const retryAfterMs = 1000;

/** How a reply gets its turn. */
const chatTask = 'chat:message';

/** Starts replies, lets the task engine give them their turn, and keeps them for a while after their end. */
export class MemoryStreams implements ChatStreams, ReplyEvents {
  /** One run of it is one reply. */
  readonly task: TaskDefinition;
  readonly #chat: Chat;
  readonly #tasks: TaskEngine;
  readonly #config: Config;
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #replies = new Map<string, MemoryReply>();
  readonly #keyed = new KeyedRuns<MemoryReply>();
  readonly #unended = new Set<MemoryReply>();
  readonly #kept: ExpiringSet<MemoryReply>;
  /** Logs whose readers have something new to take. */
  #stale: ReplyLog[] = [];
  #running = 0;
  #chars = 0;
  #tokens = 0;
  #draining = false;
  #onEmpty: (() => void) | undefined;

  constructor(chat: Chat, tasks: TaskEngine, config: Config, bus: EventBus, logger: Logger) {
    this.#chat = chat;
    this.#tasks = tasks;
    this.#config = config;
    this.#bus = bus;
    this.#logger = logger;
    this.#kept = new ExpiringSet(config, (reply) => this.#forget(reply));
    const { replyTimeoutMs, cancelTimeoutMs } = config;
    this.task = {
      name: chatTask,
      description: 'Gives one answer',
      lane: 'main',
      concurrency: config.maxRunning,
      maxQueued: config.maxWaiting,
      // Replies keep their own time and know more about it; this only bounds what goes wrong there.
      timeoutMs: timerMs(replyTimeoutMs + cancelTimeoutMs + 1000),
      run: (streamId, call) => this.#answer(streamId as string, call),
    };
  }

  get figures(): StreamStats {
    return this.stats;
  }

  get stats(): StreamStats {
    let readers = 0;
    for (const reply of this.#replies.values()) readers += reply.readers;
    return {
      running: this.#running,
      waiting: this.#unended.size - this.#running,
      kept: this.#kept.size,
      readers,
      chars: this.#chars,
      tokens: this.#tokens,
    };
  }

  /** @throws QUEUE_FULL, SHUTTING_DOWN, IDEMPOTENCY_MISMATCH */
  start(command: StartCommand): Reply {
    const key = keyOf(command);
    const known = this.#keyed.find(key);
    if (known) return known;
    this.#keyed.claim(key);
    if (this.#draining) throw new WaggleError('SHUTTING_DOWN', { retryAfterMs });
    const request = {
      ...command,
      streamId: randomId(),
      conversationId: command.conversationId ?? randomId(),
    };
    const requestChars = charsIn(...Object.values(command));
    if (!this.grew(requestChars, 0)) {
      this.shrank(requestChars);
      const limit = this.#config.totalLimitChars;
      throw new WaggleError('QUEUE_FULL', { limit, what: 'characters of replies', retryAfterMs });
    }
    const reply = new MemoryReply(request, requestChars, this.#config, this);
    this.#replies.set(reply.streamId, reply);
    this.#keyed.keep(key, reply);
    this.#unended.add(reply);
    const { priority } = command;
    const { streamId, conversationId } = reply;
    try {
      const onQueued = (ahead: number) => reply.wait(ahead);
      reply.accept(this.#tasks.submit(chatTask, reply.streamId, { priority, onQueued }));
    } catch (error) {
      this.#unended.delete(reply);
      this.#forget(reply);
      this.shrank(requestChars);
      throw error;
    }
    this.#bus.emit('chat:accepted', { streamId, conversationId, ...traceContextOf(command) });
    return reply;
  }

  find(streamId: string): Reply | undefined {
    return this.#replies.get(streamId);
  }

  list(): readonly Reply[] {
    return [...this.#replies.values()];
  }

  /** Refuses new replies, lets running and waiting ones end until the deadline, then cancels the rest. */
  async drain(deadline: AbortSignal): Promise<void> {
    this.#draining = true;
    if (this.#unended.size > 0)
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
        deadline.addEventListener('abort', () => resolve(), { once: true });
        if (deadline.aborted) resolve();
      });
    await this.#cancelAll();
  }

  /** Cancels whatever runs, and forgets everything. */
  async close(): Promise<void> {
    this.#draining = true;
    await this.#cancelAll();
    this.#kept.clear();
  }

  started(reply: MemoryReply, agent: string): void {
    this.#bus.emit('chat:started', { streamId: reply.streamId, agent });
  }

  grew(chars: number, tokens: number): boolean {
    this.#chars += chars;
    this.#tokens += tokens;
    while (this.#chars > this.#config.totalLimitChars) if (!this.#kept.dropOldest()) return false;
    return true;
  }

  shrank(chars: number): void {
    this.#chars -= chars;
  }

  /** However much arrives in one turn of the event loop, readers are woken once. */
  stale(log: ReplyLog): void {
    if (this.#stale.length === 0) setImmediate(() => this.#wake());
    this.#stale.push(log);
  }

  ended(reply: MemoryReply, ending: Ending): void {
    const { streamId } = reply;
    this.#unended.delete(reply);
    this.#report(streamId, ending, this.#loggerOf(reply));
    // Who asks again after a failure wants to be answered; what the client has cancelled stays so.
    const { type } = ending;
    if (type === 'failed' || (type === 'cancelled' && ending.reason !== 'client')) this.#keyed.drop(reply);
    this.#kept.keep(reply);
    if (this.#unended.size === 0) this.#onEmpty?.();
  }

  /** The turn of one reply has come. @throws why it failed, so that the task fails with it */
  async #answer(streamId: string, { signal }: TaskCall): Promise<void> {
    const reply = this.#replies.get(streamId);
    if (!reply) throw new WaggleError('STREAM_GONE', { streamId });
    signal.addEventListener('abort', () => void reply.cancel('shutdown'), { once: true });
    this.#running++;
    try {
      await reply.run(this.#chat, this.#loggerOf(reply));
    } finally {
      this.#running--;
    }
    if (reply.failure) throw reply.failure;
  }

  async #cancelAll(): Promise<void> {
    await Promise.all([...this.#unended].map((reply) => reply.cancel('shutdown')));
  }

  #wake(): void {
    const logs = this.#stale;
    this.#stale = [];
    for (const log of logs)
      try {
        log.wake();
      } catch (err) {
        this.#logger.error({ err }, 'a reader of a reply failed');
      }
  }

  #forget(reply: MemoryReply): void {
    this.#keyed.drop(reply);
    this.#replies.delete(reply.streamId);
    this.#chars -= reply.chars;
  }

  #loggerOf(reply: MemoryReply): Logger {
    const { requestId, userId } = reply.ids;
    // The whole id would be a key to the reply.
    return this.#logger.child({ stream: reply.streamId.slice(0, 6), requestId, userId });
  }

  #report(streamId: string, ending: Ending, logger: Logger): void {
    const { timings } = ending;
    if (ending.type === 'finished') {
      const { agent, tokens } = ending;
      const used = ending.usage && { usage: ending.usage };
      logger.info({ agent, ...timings, ...used }, 'reply finished');
      this.#bus.emit('chat:finished', { streamId, agent, tokens, timings, ...used });
    } else if (ending.type === 'failed') {
      const { error } = ending;
      logger.warn({ err: error, reason: error.code }, 'reply failed');
      this.#bus.emit('chat:failed', { streamId, code: error.code, error, timings });
    } else {
      logger.info({ reason: ending.reason }, 'reply cancelled');
      this.#bus.emit('chat:cancelled', { streamId, reason: ending.reason, timings });
    }
  }
}

/** A `requestId` stands for who is asked for what, at which endpoint. */
function keyOf(command: StartCommand): RequestKey | undefined {
  const { userId, requestId, endpoint, content, messages, stateless, conversationId } = command;
  const { agent, model, options } = command;
  const asked = { endpoint, content, messages, stateless, conversationId, agent, model, options };
  return requestKey(userId, requestId, asked);
}
