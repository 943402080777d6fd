import { type CancelReason, type ClientAnswer, type Cluster, type Undo, WaggleError } from '#kernel';
import type { Methods } from './node-calls.js';
import type { EntryId } from './reply-table.js';
import type { ReplyWriter } from './reply-writer.js';

/** An entry of a reply, to a node that reads along: its hash, the id of the entry, and the entry unless it is large. */
export const pushTopic = 'streams:push';
/** The readers that a node has, to an owner. */
export const interestTopic = 'streams:interest';
/** How far replies are, to a node that reads along. */
export const beatTopic = 'streams:beat';

/** The readers of each reply, by hash. With an empty key, these are all replies of the receiver that the sender reads. */
export type Interest = Readonly<Record<string, number>>;

/** The last entry of each reply, by hash; null for one that is not known. */
export type Beat = Readonly<Record<string, EntryId | null>>;

/** How long a node that joins waits for its answer. */
const joinMs = 5000;

/** Gives other nodes what they read of the replies that run here. */
export class Serving {
  readonly #cluster: Cluster;
  readonly #writers: ReadonlyMap<string, ReplyWriter>;
  readonly #undo: Undo;

  constructor(cluster: Cluster, writers: ReadonlyMap<string, ReplyWriter>) {
    this.#cluster = cluster;
    this.#writers = writers;
    this.#undo = cluster.on(interestTopic, (body, from) => this.#onInterest(body as Interest, from));
  }

  /** Calls that other nodes may make. */
  readonly methods: Methods = {
    /** Reads along from now on; the result is the last entry that the engine has. */
    join: async ([hash, readers]: [string, number], from: string): Promise<EntryId | undefined> => {
      const writer = this.#writers.get(hash);
      if (!writer) return undefined;
      if (!writer.reply.ended) writer.setReaders(from, readers);
      return writer.sync(joinMs);
    },
    cancel: async ([hash, reason]: [string, CancelReason]) => this.#writers.get(hash)?.reply.cancel(reason),
    answer: ([hash, callId, answer]: [string, string, ClientAnswer]) => {
      const writer = this.#writers.get(hash);
      if (!writer) throw new WaggleError('TOOL_CALL_UNKNOWN', { id: callId.slice(0, 128) });
      writer.reply.answer(callId, answer);
    },
  };

  /** A node reads nothing more. */
  gone(nodeId: string): void {
    for (const writer of this.#writers.values()) writer.setReaders(nodeId, undefined);
  }

  close(): void {
    void this.#undo();
  }

  #onInterest(interest: Interest, from: string): void {
    const isAll = '' in interest;
    const beat: Record<string, EntryId | null> = {};
    for (const [hash, readers] of Object.entries(interest)) {
      if (hash === '') continue;
      const writer = this.#writers.get(hash);
      beat[hash] = writer?.last ?? null;
      if (writer && !writer.reply.ended) writer.setReaders(from, readers);
    }
    if (!isAll) return;
    for (const writer of this.#writers.values())
      if (!(writer.hash in interest)) writer.setReaders(from, undefined);
    if (Object.keys(beat).length > 0) void this.#cluster.send(from, beatTopic, beat);
  }
}
