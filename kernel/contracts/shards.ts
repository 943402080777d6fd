import { createToken } from '../services.js';
import type { Undo } from './effect.js';

/** The answer of one shard; without a `body` where it has not answered in time. */
export interface ShardAnswer {
  readonly shard: number;
  readonly body?: unknown;
}

/** A port that all shards listen on. */
export interface SharedPort {
  readonly port: number;
  /** To be called once this shard no longer listens on it. */
  release(): void;
}

/** The processes of one server on one port of one machine. The host provides it where there are several. */
export interface Shards {
  /** The number of this one, from 0. It keeps the number when it is started again. */
  readonly index: number;
  readonly count: number;
  /** Reserves a port for all shards. Of 0 all get the same free one. @throws LISTEN_FAILED where another server has it */
  reserve(host: string, port: number): Promise<SharedPort>;
  /** Asks all shards, this one included; their answers, as JSON, by their numbers. Takes two seconds at most. */
  ask(topic: string, body?: unknown): Promise<readonly ShardAnswer[]>;
  /** Answers what shards ask. One that throws gives no answer. */
  answer(topic: string, give: (body: unknown) => unknown): Undo;
}

/** Provided by the host of a server with several processes. */
export const Shards = createToken<Shards>('shards', {
  answer: (topic) => ({ kind: 'shard topic', name: topic }),
});
