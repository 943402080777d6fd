import type { ConversationKey } from '#kernel';
import { hashOf } from '#sdk/redis';

/** Names of the keys of one conversation. All of a user's keys are in one slot of a Redis Cluster. */
export interface ConversationKeys {
  /** In the order in which the scripts take them. */
  readonly all: readonly [user: string, list: string, head: string, messages: string];
  /** In the books. */
  readonly member: string;
  readonly hash: string;
}

/** Names of the keys of one installation. */
export class Keys {
  /** The books over all users: times of use, sizes, and the sum of the sizes. */
  readonly books: readonly [uses: string, sizes: string, total: string];
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.books = [`{${prefix}:u}:uses`, `{${prefix}:u}:sizes`, `{${prefix}:u}:total`];
  }

  conversation({ userId, conversationId }: ConversationKey): ConversationKeys {
    return this.#of(userHash(userId), hashOf(JSON.stringify(conversationId)));
  }

  /** The keys of an entry in the books. */
  entry(member: string): ConversationKeys {
    const [user = '', hash = ''] = member.split(' ');
    return this.#of(user, hash);
  }

  /** The list of a user's conversations, and the beginning of their keys. */
  user(userId: string): { readonly list: string; readonly start: string } {
    const start = this.#start(userHash(userId));
    return { list: `${start}l`, start };
  }

  #of(user: string, hash: string): ConversationKeys {
    const start = this.#start(user);
    const all = [`${start}m`, `${start}l`, `${start}c:${hash}`, `${start}x:${hash}`] as const;
    return { all, member: `${user} ${hash}`, hash };
  }

  #start(user: string): string {
    return `{${this.#prefix}:u:${user}}:`;
  }
}

/** By the JSON of an id, in which single surrogates are told apart. */
function userHash(userId: string): string {
  return hashOf(JSON.stringify(userId));
}
