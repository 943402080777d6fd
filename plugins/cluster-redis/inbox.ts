/** A message of a node. */
export interface Message {
  readonly topic: string;
  readonly body: unknown;
}

/** One batch, and whether one before it is missing. */
export interface Delivery {
  readonly from: string;
  readonly messages: readonly Message[];
  readonly hasGap: boolean;
}

/** Senders on one channel whose last number is known. */
const maxSenders = 10_000;

/** Reads batches of other nodes, finds those that are missing, and drops those that come twice. */
export class Inbox {
  /** The last number, by channel and sender. */
  readonly #last = new Map<string, Map<string, number>>();

  /** Undefined for a text that no node wrote. */
  read(channel: string, text: string): Delivery | undefined {
    const batch = parsed(text);
    if (!batch) return undefined;
    const [from, seq, list] = batch;
    const senders = this.#last.get(channel) ?? new Map<string, number>();
    this.#last.set(channel, senders);
    const last = senders.get(from) ?? 0;
    const isNew = seq > last;
    // An echo has the number of a batch that has come, or should have.
    const hasGap = list.length === 0 ? seq > last : seq > last + 1;
    if (isNew) {
      if (senders.size >= maxSenders && !senders.has(from)) senders.clear();
      senders.set(from, seq);
    }
    return { from, messages: isNew ? list.map(([topic, body]) => ({ topic, body })) : [], hasGap };
  }

  /** Forgets all senders but these. */
  keep(isAlive: (id: string) => boolean): void {
    for (const senders of this.#last.values())
      for (const id of senders.keys()) if (!isAlive(id)) senders.delete(id);
  }
}

type Batch = readonly [from: string, seq: number, list: readonly (readonly [string, unknown])[]];

function parsed(text: string): Batch | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isBatch(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isBatch(value: unknown): value is Batch {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [from, seq, list] = value;
  if (typeof from !== 'string' || !Number.isSafeInteger(seq) || seq < 0 || !Array.isArray(list)) return false;
  return list.every((each) => Array.isArray(each) && each.length === 2 && typeof each[0] === 'string');
}
