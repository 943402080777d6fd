import { randomBytes, randomUUID } from 'node:crypto';
import {
  type Chat,
  type ChatCommand,
  type ChatStreams,
  type EventBus,
  type Logger,
  type Reply,
  WaggleError,
} from '#kernel';
import type { Config } from './config.js';
import { type Ending, MemoryReply } from './memory-reply.js';

const retryAfterMs = 1000;

/** Starts replies and knows which ones run. */
export class MemoryStreams implements ChatStreams {
  readonly #chat: Chat;
  readonly #config: Config;
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #running = new Set<MemoryReply>();
  #draining = false;
  #onEmpty: (() => void) | undefined;

  constructor(chat: Chat, config: Config, bus: EventBus, logger: Logger) {
    this.#chat = chat;
    this.#config = config;
    this.#bus = bus;
    this.#logger = logger;
  }

  /** @throws QUEUE_FULL, SHUTTING_DOWN */
  start(command: ChatCommand & { readonly requestId?: string | undefined }): Reply {
    if (this.#draining) throw new WaggleError('SHUTTING_DOWN', { retryAfterMs });
    const { maxRunning } = this.#config;
    if (this.#running.size >= maxRunning)
      throw new WaggleError('QUEUE_FULL', { limit: maxRunning, what: 'running replies', retryAfterMs });
    const request = {
      ...command,
      // A capability: whoever knows it may read the reply.
      streamId: randomBytes(18).toString('base64url'),
      conversationId: command.conversationId ?? randomUUID(),
    };
    const { streamId, requestId, userId } = request;
    const logger = this.#logger.child({ streamId: streamId.slice(0, 6), requestId, userId });
    const events = {
      started: (reply: MemoryReply, agent: string) =>
        this.#bus.emit('chat:started', { streamId: reply.streamId, agent }),
      ended: (ended: MemoryReply, ending: Ending) => this.#ended(ended, ending, logger),
    };
    const reply = new MemoryReply(request, this.#config, events);
    this.#running.add(reply);
    reply.run(this.#chat, logger);
    return reply;
  }

  /** Refuses new replies, lets running ones end until the deadline, then cancels the rest. */
  async drain(deadline: AbortSignal): Promise<void> {
    this.#draining = true;
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      deadline.addEventListener('abort', () => resolve(), { once: true });
      if (deadline.aborted) resolve();
    });
    await this.close();
  }

  /** Cancels whatever runs. */
  async close(): Promise<void> {
    this.#draining = true;
    await Promise.all([...this.#running].map((reply) => reply.cancel('shutdown')));
  }

  #ended(reply: MemoryReply, ending: Ending, logger: Logger): void {
    const { streamId } = reply;
    this.#running.delete(reply);
    if (this.#running.size === 0) this.#onEmpty?.();
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
