import { type Logger, type SequenceFollower, type Undo, WaggleError } from '#kernel';
import { type RedisLink, RedisScript } from '#sdk/redis';
import type { Keys } from './keys.js';
import { guarded } from './topics.js';

/**
 * KEYS: the last number. ARGV: the channel, the highest number that the sender knows, topic and body. Returns the number. It is
 * the time in microseconds, so that numbers go on when the engine has lost the last one.
 */
const publish = new RedisScript(`
local before = tonumber(redis.call('GET', KEYS[1]) or '0')
local time = redis.call('TIME')
local n = math.max(before + 1, tonumber(ARGV[2]) + 1, time[1] * 1000000 + time[2])
local text = string.format('%.0f', n)
redis.call('SET', KEYS[1], text)
redis.call('PUBLISH', ARGV[1], '[' .. string.format('%.0f', before) .. ',' .. text .. ',' .. ARGV[3] .. ']')
return text`);

const limitChars = 1_000_000;

/** Messages that all nodes hear in one order: the engine numbers and publishes each in one step. */
export class Sequence {
  readonly #keys: Keys;
  readonly #link: Pick<RedisLink, 'run'>;
  readonly #logger: Logger;
  readonly #followers = new Map<SequenceFollower, string>();
  /** The last number that was heard, or given up. */
  #reached: number | undefined;
  /** A number that the engine had at the last look, and that was not heard of then. */
  #due: number | undefined;

  constructor(keys: Keys, link: Pick<RedisLink, 'run'>, logger: Logger) {
    this.#keys = keys;
    this.#link = link;
    this.#logger = logger;
  }

  get reached(): number {
    return this.#reached ?? 0;
  }

  /** @throws ENGINE_UNAVAILABLE, TOO_LARGE */
  async send(topic: string, body: unknown): Promise<number> {
    const text = `${JSON.stringify(topic)},${JSON.stringify(body) ?? 'null'}`;
    if (text.length > limitChars) {
      const key = 'of a message to all nodes';
      throw new WaggleError('TOO_LARGE', { limitBytes: limitChars, unit: 'characters', key });
    }
    const { counter, sequence } = this.#keys;
    return Number(await this.#link.run(publish, [counter], [sequence, String(this.reached), text]));
  }

  follow(topic: string, follower: SequenceFollower): Undo {
    this.#followers.set(follower, topic);
    return () => void this.#followers.delete(follower);
  }

  /** A text of the channel. False if no node wrote it. */
  receive(text: string): boolean {
    const message = parsed(text);
    if (!message) return false;
    const [before, seq, topic, body] = message;
    const reached = this.#reached ?? before;
    // It came so late that it was given up.
    if (seq <= reached) return true;
    // With a lower number before it, the engine has lost some: nothing is known of those in between.
    if (before !== reached) this.#miss(before > reached ? before : seq - 1);
    this.#reached = seq;
    this.#tell((follower, its) => {
      if (its === topic) follower.message(seq, body);
    });
    return true;
  }

  /** Once a second or so: the last number of the engine. One that is not heard of until the next look was lost. */
  look(last: number): void {
    this.#reached ??= last;
    if (this.#due !== undefined) this.#miss(this.#due);
    this.#due = last > this.#reached ? last : undefined;
  }

  #miss(to: number): void {
    const from = this.reached + 1;
    if (to < from) return;
    this.#reached = to;
    this.#tell((follower) => follower.missing(from, to));
  }

  #tell(call: (follower: SequenceFollower, topic: string) => void): void {
    for (const [follower, topic] of this.#followers)
      guarded(
        () => call(follower, topic),
        (error) => this.#logger.error({ err: error, topic }, 'a message was not processed'),
      );
  }
}

type Message = readonly [before: number, seq: number, topic: string, body: unknown];

function parsed(text: string): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value) || value.length !== 4) return undefined;
  const [before, seq, topic] = value;
  if (!Number.isSafeInteger(before) || !Number.isSafeInteger(seq) || typeof topic !== 'string')
    return undefined;
  return value as unknown as Message;
}
