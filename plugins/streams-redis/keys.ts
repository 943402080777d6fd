import { createHash } from 'node:crypto';
import { randomId } from '#sdk';
import { hashOf } from '#sdk/redis';

/** The number of slots of a Redis Cluster that an installation uses: all keys of one reply are in the same. */
const shards = 64;

/** The keys of one reply. */
export interface ReplyKeys {
  /** Its id in all names of keys and messages, which many may see. */
  readonly hash: string;
  readonly shard: string;
  /** Its user, its owner and its state. */
  readonly meta: string;
  readonly log: string;
  /** The request, until its first content. */
  readonly command: string;
}

/** Names of the keys of one installation. */
export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The name of the data: another one, or none, where they are lost. */
  get dataSet(): string {
    return `${this.#prefix}:streams`;
  }

  /** An unguessable id of a reply, which begins with the shard of its user. */
  newStreamId(userId: string): string {
    const [byte = 0] = createHash('sha256').update(userId).digest();
    return String(byte % shards).padStart(2, '0') + randomId();
  }

  /** Undefined for an id that is none of this plugin. */
  ofStream(streamId: string): ReplyKeys | undefined {
    const shard = /^[0-6]\d/.exec(streamId)?.[0];
    return shard !== undefined && Number(shard) < shards ? this.ofHash(shard, hashOf(streamId)) : undefined;
  }

  ofHash(shard: string, hash: string): ReplyKeys {
    const name = (kind: string) => this.#name(shard, kind, hash);
    return { hash, shard, meta: name('r'), log: name('l'), command: name('c') };
  }

  /** The reply to a request with an id. */
  request(shard: string, keyHash: string): string {
    return this.#name(shard, 'q', keyHash);
  }

  /** The line of a conversation of the user of a reply. */
  line(streamId: string, conversationHash: string): string {
    return this.#name(streamId.slice(0, 2), 't', conversationHash);
  }

  /** The replies that a node runs, of one shard. */
  owned(shard: string, nodeId: string): string {
    return this.#name(shard, 'o', nodeId);
  }

  allOwned(nodeId: string): readonly { readonly shard: string; readonly key: string }[] {
    return Array.from({ length: shards }, (_, index) => {
      const shard = String(index).padStart(2, '0');
      return { shard, key: this.owned(shard, nodeId) };
    });
  }

  #name(shard: string, kind: string, id: string): string {
    return `{${this.#prefix}:${shard}}:${kind}:${id}`;
  }
}
