import type { Logger, NodeLoad } from '#kernel';
import { randomId } from '#sdk';
import { type RedisLink, redisLayout } from '#sdk/redis';
import type { Keys } from './keys.js';

/** One look at the engine. */
export interface Look {
  /** All other nodes that are listed, with their loads where they have a lease. */
  readonly listed: ReadonlyMap<string, NodeLoad | undefined>;
  /** Whether the lease of this node was gone. */
  readonly hasLapsed: boolean;
  /** Whether the data of the engine are others than at the last look. */
  readonly isOther: boolean;
}

/** Leases read at once. */
const chunk = 500;

type Send = (...args: readonly string[]) => Promise<unknown>;

/** The lease of this node, and a look at those of others. */
export class Membership {
  readonly #nodeId: string;
  readonly #keys: Keys;
  readonly #leaseMs: number;
  readonly #send: Send;
  readonly #logger: Logger;
  #epoch: string | undefined;
  #hasLease = false;
  #isFull = false;

  constructor(nodeId: string, keys: Keys, leaseMs: number, link: Pick<RedisLink, 'urgent'>, logger: Logger) {
    this.#nodeId = nodeId;
    this.#keys = keys;
    this.#leaseMs = leaseMs;
    this.#send = (...args) => link.urgent(...args);
    this.#logger = logger;
  }

  /** Renews the lease, lists this node, and looks who else has one. @throws ENGINE_UNAVAILABLE when the lease is not renewed */
  async beat(load: NodeLoad): Promise<Look> {
    const [hasLapsed, epoch, members] = await all([
      this.#renew(JSON.stringify(load)),
      this.#send('GET', this.#keys.epoch),
      this.#send('SMEMBERS', this.#keys.nodes),
    ]);
    const isOther = await this.#checkEpoch(epoch as string | null);
    const ids = (members as readonly string[]).filter((id) => id !== this.#nodeId);
    const listed = new Map<string, NodeLoad | undefined>();
    // A server that crashes again and again leaves many ids behind.
    for (let at = 0; at < ids.length; at += chunk) {
      const some = ids.slice(at, at + chunk);
      const leases = await all(some.map((id) => this.#send('GET', this.#keys.node(id))));
      for (const [index, id] of some.entries()) listed.set(id, loadOf(leases[index]));
    }
    return { listed, hasLapsed, isOther };
  }

  /** Ends the lease at once, so that others know. */
  async leave(): Promise<void> {
    await all([
      this.#send('DEL', this.#keys.node(this.#nodeId)),
      this.#send('SREM', this.#keys.nodes, this.#nodeId),
    ]);
  }

  /** Takes a node off the list that is lost and taken care of. */
  async strike(id: string): Promise<void> {
    await this.#send('SREM', this.#keys.nodes, id);
  }

  /**
   * Resolves with whether the lease had expired. It is prolonged by PEXPIRE, as a server without memory refuses SET: else all
   * nodes would be lost at once when it is full.
   */
  async #renew(load: string): Promise<boolean> {
    const key = this.#keys.node(this.#nodeId);
    const px = String(this.#leaseMs);
    const [isThere] = await all([
      this.#send('PEXPIRE', key, px),
      this.#tolerant('SET', key, load, 'XX', 'PX', px),
      this.#tolerant('SADD', this.#keys.nodes, this.#nodeId),
    ]);
    if (isThere === 1) return false;
    await this.#send('SET', key, load, 'PX', px);
    const hasLapsed = this.#hasLease;
    this.#hasLease = true;
    return hasLapsed;
  }

  /** The epoch names a set of data: a node that finds none begins one. */
  async #checkEpoch(found: string | null): Promise<boolean> {
    let epoch = found;
    if (epoch === null) {
      await this.#tolerant('SET', this.#keys.layout, redisLayout, 'NX');
      await this.#tolerant('SET', this.#keys.epoch, randomId(), 'NX');
      epoch = (await this.#send('GET', this.#keys.epoch)) as string | null;
    }
    const isOther = this.#epoch !== undefined && this.#epoch !== epoch;
    this.#epoch = epoch ?? this.#epoch;
    return isOther && epoch !== null;
  }

  /** A write that can wait until the engine has room. */
  async #tolerant(...args: readonly string[]): Promise<unknown> {
    try {
      const reply = await this.#send(...args);
      this.#isFull = false;
      return reply;
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      if (!this.#isFull) this.#logger.warn({ err: error }, 'the engine has no memory left');
      this.#isFull = true;
      return undefined;
    }
  }
}

function loadOf(lease: unknown): NodeLoad | undefined {
  if (typeof lease !== 'string') return undefined;
  try {
    return { ...(JSON.parse(lease) as NodeLoad) };
  } catch {
    return {};
  }
}

function isOutOfMemory(error: unknown): boolean {
  const { cause } = error as Error;
  return cause instanceof Error && cause.message.startsWith('OOM');
}

/** As Promise.all, but waits for all, so that no later rejection is without a handler. */
async function all<const T extends readonly Promise<unknown>[]>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const settled = await Promise.allSettled(promises);
  const failed = settled.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
  if (failed) throw failed.reason;
  return settled.map((each) => (each as PromiseFulfilledResult<unknown>).value) as never;
}
