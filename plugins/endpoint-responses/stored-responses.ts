import { type ConversationKey, type ConversationStore, WaggleError } from '#kernel';
import { isJsonObject } from '#sdk';

/** A response as it is stored, with the items that it answers. */
export interface StoredResponse {
  readonly response: Readonly<Record<string, unknown>>;
  readonly input: readonly object[];
}

// Longer than any user id, so that no user has these conversations among their own.
const ownerChars = 129;
const ownerSuffix = ' responses';

/**
 * Ended responses in the store of conversations, each as a conversation of its own: within its limits, until its age, for
 * its user alone.
 */
export class StoredResponses {
  readonly #store: ConversationStore;
  readonly #maxStored: number;
  /** Responses of this process, the oldest first: the store drops by last use, whatever a conversation is. */
  readonly #kept = new Map<string, ConversationKey>();

  constructor(store: ConversationStore, maxStored: number) {
    this.#store = store;
    this.#maxStored = maxStored;
  }

  /** Pictures are left out where the whole is too large for the store. @throws TOO_LARGE */
  async keep(owner: string, id: string, stored: StoredResponse): Promise<void> {
    try {
      await this.#append(owner, id, stored);
    } catch (error) {
      if (!WaggleError.is(error, 'TOO_LARGE')) throw error;
      await this.#append(owner, id, {
        ...stored,
        input: stored.input.map(withoutFiles) as readonly object[],
      });
    }
    this.#kept.set(id, keyOf(owner, id));
    for (const [oldest, key] of this.#kept) {
      if (this.#kept.size <= this.#maxStored) break;
      this.#kept.delete(oldest);
      await this.#store.delete(key);
    }
  }

  async find(owner: string, id: string): Promise<StoredResponse | undefined> {
    if (!/^resp_[\w-]+$/.test(id)) return undefined;
    const [message] = await this.#store.read(keyOf(owner, id));
    return message && (JSON.parse(message.content) as StoredResponse);
  }

  /** False for an unknown one. */
  delete(owner: string, id: string): Promise<boolean> {
    this.#kept.delete(id);
    return this.#store.delete(keyOf(owner, id));
  }

  #append(owner: string, id: string, stored: StoredResponse): Promise<void> {
    return this.#store.append(keyOf(owner, id), [{ role: 'user', content: JSON.stringify(stored) }]);
  }
}

function keyOf(owner: string, id: string): ConversationKey {
  return { userId: `${owner}${ownerSuffix}`.padEnd(ownerChars + ownerSuffix.length), conversationId: id };
}

const fileLimitChars = 1024;

/** A copy with a note in the place of each long picture and file. */
function withoutFiles(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutFiles);
  if (!isJsonObject(value)) return value;
  const isFile = /^input_(image|file|audio)$/.test(String(value.type));
  if (isFile && JSON.stringify(value).length > fileLimitChars)
    return { type: 'input_text', text: `[${String(value.type).slice('input_'.length)}]` };
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withoutFiles(each)]));
}
