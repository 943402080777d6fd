import { WaggleError } from '#kernel';
import { type Deferred, deferred } from '#sdk';

/** Publishes a text on a channel; resolves with the number of its receivers. */
export type Publish = (channel: string, text: string) => Promise<number>;

/** Bounds of messages, in characters. */
export interface OutboxLimits {
  /** One message. */
  readonly messageLimitChars: number;
  /** One batch; a turn with more makes several. */
  readonly batchLimitChars: number;
  /** All that is not confirmed; above it nothing more is sent. */
  readonly pendingLimitChars: number;
  /** Batches that are not confirmed, so that a slow engine has room for other commands. */
  readonly pendingLimit: number;
}

const outboxLimits: OutboxLimits = {
  messageLimitChars: 1_000_000,
  batchLimitChars: 2_000_000,
  pendingLimitChars: 16_000_000,
  pendingLimit: 2000,
};

interface Batch {
  readonly parts: string[];
  readonly taken: Deferred<boolean>;
  chars: number;
}

interface Channel {
  seq: number;
  open: Batch | undefined;
  /** Beats in which the receivers are still told of the last number, so that they miss a message that was the last one. */
  echoes: number;
}

const echoes = 10;

/** Messages to other nodes: those of one turn of the event loop and one channel in one PUBLISH, with a number for each batch. */
export class Outbox {
  readonly #nodeId: string;
  readonly #publish: Publish;
  readonly #limits: OutboxLimits;
  readonly #channels = new Map<string, Channel>();
  #pendingChars = 0;
  #pending = 0;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(nodeId: string, publish: Publish, limits = outboxLimits) {
    this.#nodeId = nodeId;
    this.#publish = publish;
    this.#limits = limits;
  }

  /** @throws TOO_LARGE */
  send(channel: string, topic: string, body: unknown): Promise<boolean> {
    const part = `[${JSON.stringify(topic)},${JSON.stringify(body) ?? 'null'}]`;
    const { messageLimitChars: limitBytes, batchLimitChars, pendingLimitChars, pendingLimit } = this.#limits;
    if (part.length > limitBytes)
      throw new WaggleError('TOO_LARGE', { limitBytes, unit: 'characters', key: 'of a message to a node' });
    if (this.#pendingChars + part.length > pendingLimitChars || this.#pending >= pendingLimit)
      return Promise.resolve(false);
    const to = this.#channel(channel);
    if (to.open && to.open.chars + part.length > batchLimitChars) this.#flush(channel, to);
    to.open ??= { parts: [], taken: deferred<boolean>(), chars: 0 };
    to.open.parts.push(part);
    to.open.chars += part.length;
    this.#pendingChars += part.length;
    this.#scheduled ??= setImmediate(() => this.flush());
    return to.open.taken.promise;
  }

  /** Publishes what has gathered. */
  flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    for (const [name, channel] of this.#channels) this.#flush(name, channel);
  }

  /** An empty batch, to find out whether the channel is heard. */
  async probe(channel: string): Promise<void> {
    await this.#publish(channel, this.#text(this.#channel(channel).seq, ''));
  }

  /** Once a second or so: tells receivers of late the number of their last batch. */
  echo(): void {
    this.flush();
    for (const [name, channel] of this.#channels)
      if (channel.echoes > 0) {
        channel.echoes--;
        this.#publish(name, this.#text(channel.seq, '')).catch(() => {});
      }
  }

  /** Forgets a channel that will never have a receiver again: one that is used again would begin at 1. */
  forget(channel: string): void {
    this.#flush(channel, this.#channel(channel));
    this.#channels.delete(channel);
  }

  #channel(name: string): Channel {
    const known = this.#channels.get(name);
    if (known) return known;
    const channel: Channel = { seq: 0, open: undefined, echoes: 0 };
    this.#channels.set(name, channel);
    return channel;
  }

  #flush(name: string, channel: Channel): void {
    const batch = channel.open;
    if (!batch) return;
    channel.open = undefined;
    channel.seq++;
    channel.echoes = echoes;
    this.#pending++;
    const settle = (isTaken: boolean) => {
      this.#pending--;
      this.#pendingChars -= batch.chars;
      batch.taken.resolve(isTaken);
    };
    this.#publish(name, this.#text(channel.seq, batch.parts.join(','))).then(
      (receivers) => settle(receivers > 0),
      () => settle(false),
    );
  }

  #text(seq: number, parts: string): string {
    return `[${JSON.stringify(this.#nodeId)},${seq},[${parts}]]`;
  }
}
