import { randomBytes, randomUUID } from 'node:crypto';
import {
  type Chat,
  type ChatStreams,
  type EventBus,
  type Logger,
  type Reply,
  type StartCommand,
  type StreamFigures,
  WaggleError,
} from '#kernel';
import type { Config } from './config.js';
import { KeptReplies } from './kept-replies.js';
import { type Ending, MemoryReply, type ReplyEvents } from './memory-reply.js';
import type { ReplyLog } from './reply-log.js';

const retryAfterMs = 1000;

/** Starts replies, lets them wait for their turn, and keeps them for a while after their end. */
export class MemoryStreams implements ChatStreams, ReplyEvents {
  readonly #chat: Chat;
  readonly #config: Config;
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #replies = new Map<string, MemoryReply>();
  readonly #byRequest = new Map<string, MemoryReply>();
  readonly #running = new Set<MemoryReply>();
  readonly #waiting = new Set<MemoryReply>();
  readonly #kept: KeptReplies;
  /** Logs whose readers have something new to take. */
  readonly #stale = new Set<ReplyLog>();
  #chars = 0;
  #draining = false;
  #onEmpty: (() => void) | undefined;

  constructor(chat: Chat, config: Config, bus: EventBus, logger: Logger) {
    this.#chat = chat;
    this.#config = config;
    this.#bus = bus;
    this.#logger = logger;
    this.#kept = new KeptReplies(config, (reply) => this.#forget(reply));
  }

  get figures(): StreamFigures {
    let readers = 0;
    for (const reply of this.#replies.values()) readers += reply.readers;
    const { size: running } = this.#running;
    return { running, waiting: this.#waiting.size, kept: this.#kept.size, readers, chars: this.#chars };
  }

  /** @throws QUEUE_FULL, SHUTTING_DOWN */
  start(command: StartCommand): Reply {
    const known = this.#byRequest.get(requestKey(command) ?? '');
    if (known) return known;
    if (this.#draining) throw new WaggleError('SHUTTING_DOWN', { retryAfterMs });
    const { maxRunning, maxWaiting } = this.#config;
    if (this.#running.size >= maxRunning && this.#waiting.size >= maxWaiting)
      throw new WaggleError('QUEUE_FULL', {
        limit: maxRunning + maxWaiting,
        what: 'replies to give',
        retryAfterMs,
      });
    const request = {
      ...command,
      // A capability: whoever knows it may read and cancel the reply.
      streamId: randomBytes(18).toString('base64url'),
      conversationId: command.conversationId ?? randomUUID(),
    };
    const reply = new MemoryReply(request, this.#config, this);
    this.#replies.set(reply.streamId, reply);
    const key = requestKey(command);
    if (key) this.#byRequest.set(key, reply);
    if (this.#running.size < maxRunning) this.#run(reply);
    else {
      this.#waiting.add(reply);
      reply.wait(this.#waiting.size - 1);
    }
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
    if (this.#running.size > 0)
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

  grew(_reply: MemoryReply, chars: number): boolean {
    this.#chars += chars;
    while (this.#chars > this.#config.totalLimitChars) if (!this.#kept.dropOldest()) return false;
    return true;
  }

  /** However much arrives in one turn of the event loop, readers are woken once. */
  stale(log: ReplyLog): void {
    if (this.#stale.size === 0) setImmediate(() => this.#wake());
    this.#stale.add(log);
  }

  ended(reply: MemoryReply, ending: Ending): void {
    const { streamId } = reply;
    this.#running.delete(reply);
    this.#waiting.delete(reply);
    this.#report(streamId, ending, this.#loggerOf(reply));
    this.#kept.keep(reply);
    this.#runNext();
    if (this.#running.size === 0) this.#onEmpty?.();
  }

  #run(reply: MemoryReply): void {
    this.#running.add(reply);
    reply.run(this.#chat, this.#loggerOf(reply));
  }

  #runNext(): void {
    const [next] = this.#waiting;
    if (!next || this.#running.size >= this.#config.maxRunning) return;
    this.#waiting.delete(next);
    this.#run(next);
    let ahead = 0;
    for (const reply of this.#waiting) {
      // Everybody near the front, and now and then the others: a long line must not cost a frame each for every step.
      if (ahead < 5 || ahead % 10 === 0) reply.wait(ahead);
      ahead++;
    }
  }

  async #cancelAll(): Promise<void> {
    const unended = [...this.#waiting, ...this.#running];
    await Promise.all(unended.map((reply) => reply.cancel('shutdown')));
  }

  #wake(): void {
    const logs = [...this.#stale];
    this.#stale.clear();
    for (const log of logs) log.wake();
  }

  #forget(reply: MemoryReply): void {
    const key = requestKey(reply.request);
    if (key) this.#byRequest.delete(key);
    this.#replies.delete(reply.streamId);
    this.#chars -= reply.chars;
  }

  #loggerOf(reply: MemoryReply): Logger {
    const { requestId, userId } = reply.request;
    // The whole id would be a key to the reply.
    return this.#logger.child({ stream: reply.streamId.slice(0, 6), requestId, userId });
  }

  #report(streamId: string, ending: Ending, logger: Logger): void {
    if (ending.type === 'finished') {
      const { agent, timings } = ending;
      const used = ending.usage && { usage: ending.usage };
      logger.info({ agent, ...timings, ...used }, 'reply finished');
      this.#bus.emit('chat:finished', { streamId, agent, timings, ...used });
    } else if (ending.type === 'failed') {
      const { error } = ending;
      logger.warn({ err: error, reason: error.code }, 'reply failed');
      this.#bus.emit('chat:failed', { streamId, code: error.code, error });
    } else {
      logger.info({ reason: ending.reason }, 'reply cancelled');
      this.#bus.emit('chat:cancelled', { streamId, reason: ending.reason });
    }
  }
}

function requestKey({ userId, requestId }: StartCommand): string | undefined {
  return requestId === undefined ? undefined : JSON.stringify([userId, requestId]);
}
