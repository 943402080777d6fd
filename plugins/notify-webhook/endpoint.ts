import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { LookupFunction } from 'node:net';
import { type Logger, messageOf } from '#kernel';
import { deferred, randomId, settleWithin } from '#sdk';
import type { Config, EndpointConfig } from './config.js';
import { post } from './post.js';
import { Signer } from './signature.js';
import type { EventName, Told } from './webhook-events.js';

type Limits = Omit<Config, 'endpoints'>;

/** A message that was given up. */
export interface DeadLetter {
  readonly id: string;
  readonly type: EventName;
  readonly attempts: number;
  readonly reason: string;
  /** In milliseconds since 1970. */
  readonly at: number;
}

interface Delivery {
  readonly id: string;
  readonly type: EventName;
  readonly subject: string;
  readonly body: string;
  attempts: number;
}

const reasonChars = 500;

/** Delivers messages to one receiver: those of one subject in order, each at least once or as a dead letter. */
export class Endpoint {
  readonly name: string;
  readonly deadLetters: DeadLetter[] = [];
  readonly #url: URL;
  readonly #allowPrivate: boolean;
  readonly #events: readonly string[];
  readonly #limits: Limits;
  readonly #signer: Signer;
  readonly #agent: HttpAgent;
  readonly #logger: Logger;
  readonly #lookup: LookupFunction | undefined;
  /** Messages by subject; only the first one of each is under way. */
  readonly #lines = new Map<string, Delivery[]>();
  #ready: Delivery[] = [];
  readonly #timers = new Map<Delivery, NodeJS.Timeout>();
  readonly #requests = new Set<AbortController>();
  #isFailing = false;
  #stopping = false;
  #onIdle: (() => void) | undefined;
  #waiting = 0;
  #delivered = 0;
  #failed = 0;
  #dropped = 0;
  #droppedUnsaid = 0;

  constructor(
    name: string,
    settings: EndpointConfig,
    limits: Limits,
    logger: Logger,
    lookup?: LookupFunction,
  ) {
    const { url, secret, events, allowPrivate } = settings;
    this.name = name;
    this.#url = new URL(url);
    this.#allowPrivate = allowPrivate;
    this.#events = events;
    this.#limits = limits;
    this.#signer = new Signer(typeof secret === 'string' ? [secret] : secret);
    const Agent = this.#url.protocol === 'https:' ? HttpsAgent : HttpAgent;
    this.#agent = new Agent({ keepAlive: true, maxSockets: limits.concurrency, maxFreeSockets: 1 });
    this.#logger = logger;
    this.#lookup = lookup;
  }

  /** Counts since the start; messages that wait, are sent or are tried again count as `waiting`. */
  get counts() {
    const [waiting, delivered] = [this.#waiting, this.#delivered];
    return { waiting, delivered, failed: this.#failed, dropped: this.#dropped };
  }

  wants(type: EventName): boolean {
    return this.#events.includes(type) || this.#events.includes(type.replace(/:.*/, ':*'));
  }

  /** Sends it as soon as possible, or drops it where too much waits already. */
  send({ type, subject, data }: Told): void {
    if (this.#stopping) return;
    if (this.#waiting >= this.#limits.queueLimit) {
      if (this.#droppedUnsaid === 0 && this.#dropped === 0) this.sayDropped(1);
      else this.#droppedUnsaid++;
      this.#dropped++;
      return;
    }
    const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data });
    const delivery: Delivery = { id: `msg_${randomId()}`, type, subject, body, attempts: 0 };
    this.#waiting++;
    const line = this.#lines.get(subject);
    if (line) {
      line.push(delivery);
      return;
    }
    this.#lines.set(subject, [delivery]);
    this.#ready.push(delivery);
    this.#pump();
  }

  /** Logs how many messages were dropped since the last time. */
  sayDropped(count = this.#droppedUnsaid): void {
    this.#droppedUnsaid = 0;
    if (count === 0) return;
    const { queueLimit } = this.#limits;
    this.#logger.warn({ endpoint: this.name, count, queueLimit }, 'webhooks were dropped: too many wait');
  }

  /** Delivers what waits within a number of milliseconds or until a signal aborts, without waiting for retries, and then gives up. */
  async stop(limit: number | AbortSignal): Promise<void> {
    this.#stopping = true;
    for (const [delivery, timer] of this.#timers) {
      clearTimeout(timer);
      this.#ready.push(delivery);
    }
    this.#timers.clear();
    const idle = deferred<void>();
    this.#onIdle = idle.resolve;
    this.#pump();
    await settleWithin(idle.promise, limit);
    this.#ready = [];
    for (const request of this.#requests) request.abort();
    this.#agent.destroy();
    this.sayDropped();
    if (this.#waiting > 0)
      this.#logger.warn(
        { endpoint: this.name, count: this.#waiting },
        'webhooks were not delivered before the stop',
      );
  }

  #pump(): void {
    while (this.#requests.size < this.#limits.concurrency && this.#ready.length > 0)
      void this.#try(this.#ready.shift() as Delivery);
    if (this.#requests.size === 0) this.#onIdle?.();
  }

  async #try(delivery: Delivery): Promise<void> {
    const request = new AbortController();
    this.#requests.add(request);
    delivery.attempts++;
    const timer = setTimeout(() => request.abort(), this.#limits.timeoutMs);
    let failure: string | undefined;
    try {
      const { id, body } = delivery;
      const status = await post({
        url: this.#url,
        body,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'waggle-webhook/1',
          ...this.#signer.headers(id, body, new Date()),
        },
        agent: this.#agent,
        signal: request.signal,
        allowPrivate: this.#allowPrivate,
        lookup: this.#lookup,
      });
      if (status < 200 || status > 299) failure = `it answered ${status}`;
    } catch (error) {
      const isLate = request.signal.aborted && !this.#stopping;
      failure = isLate ? `no answer within ${this.#limits.timeoutMs} ms` : messageOf(error);
    }
    clearTimeout(timer);
    this.#requests.delete(request);
    this.#next(delivery, failure?.slice(0, reasonChars));
    this.#pump();
  }

  /** After a try: the end of the message, or another try. While it stops there is no other. */
  #next(delivery: Delivery, failure: string | undefined): void {
    this.#say(failure);
    if (failure === undefined) {
      this.#delivered++;
      this.#leave(delivery);
    } else if (this.#stopping) return;
    else if (delivery.attempts <= this.#limits.maxRetries) this.#retry(delivery, failure);
    else {
      this.#bury(delivery, failure);
      this.#leave(delivery);
    }
  }

  /** Logs when deliveries begin to fail, and when they succeed again: one line for many messages. */
  #say(why: string | undefined): void {
    if (this.#isFailing === (why !== undefined) || this.#stopping) return;
    // Another one still fails.
    if (why === undefined && this.#timers.size > 0) return;
    this.#isFailing = !this.#isFailing;
    const endpoint = this.name;
    if (why === undefined) this.#logger.info({ endpoint }, 'webhooks are delivered again');
    else this.#logger.warn({ endpoint, why }, 'a webhook was not delivered; it is tried again');
  }

  #bury({ id, type, attempts }: Delivery, reason: string): void {
    this.#failed++;
    this.deadLetters.push({ id, type, attempts, reason, at: Date.now() });
    if (this.deadLetters.length > this.#limits.maxDeadLetters) this.deadLetters.shift();
    this.#logger.error({ endpoint: this.name, id, type, attempts, why: reason }, 'a webhook was given up');
  }

  /** Lets the next message of its subject go. */
  #leave({ subject }: Delivery): void {
    this.#waiting--;
    const line = this.#lines.get(subject);
    line?.shift();
    const [following] = line ?? [];
    if (following) this.#ready.push(following);
    else this.#lines.delete(subject);
  }

  /** Exponential back-off with full jitter. */
  #retry(delivery: Delivery, why: string): void {
    const { id, type, attempts } = delivery;
    const { retryBaseMs, retryMaxMs } = this.#limits;
    const delayMs = Math.ceil(Math.random() * Math.min(retryMaxMs, retryBaseMs * 2 ** (attempts - 1)));
    const about = { endpoint: this.name, id, type, attempts, delayMs, why };
    this.#logger.debug(about, 'a webhook is tried again');
    const timer = setTimeout(() => {
      this.#timers.delete(delivery);
      this.#ready.push(delivery);
      this.#pump();
    }, delayMs);
    this.#timers.set(delivery, timer);
  }
}
