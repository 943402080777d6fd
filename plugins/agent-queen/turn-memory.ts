import {
  type CallContext,
  type ChatMessage,
  type ConversationKey,
  type ConversationStore,
  WaggleError,
} from '#kernel';
import { remembered, retract, type Said } from './turn.js';

/** The messages whose place a turn takes: from a number on, with the versions of them to keep. */
export interface Replaced {
  readonly from: number;
  readonly versions: readonly (readonly ChatMessage[])[];
}

/** The stored messages of one turn. */
export class TurnMemory {
  readonly #store: ConversationStore;
  readonly #key: ConversationKey;
  readonly #turn: readonly ChatMessage[];
  readonly #call: CallContext;
  readonly #imagesLimitChars: number;
  readonly #replaced: Replaced | undefined;
  readonly #begunAt = Date.now();
  #kept: readonly ChatMessage[] | undefined;

  constructor(
    store: ConversationStore,
    key: ConversationKey,
    turn: readonly ChatMessage[],
    call: CallContext,
    imagesLimitChars: number,
    replaced?: Replaced,
  ) {
    this.#imagesLimitChars = imagesLimitChars;
    this.#replaced = replaced;
    this.#store = store;
    this.#key = key;
    this.#turn = turn;
    this.#call = call;
  }

  /** Stores the turn, replacing what was stored of it before. */
  async keep(said: Said): Promise<void> {
    if (this.#kept) await this.#retract(this.#kept);
    const messages = remembered(this.#turn, said, {
      times: { begunAt: this.#begunAt, endedAt: Date.now() },
      imagesLimitChars: this.#imagesLimitChars,
    });
    try {
      this.#kept = await this.#put(messages);
    } catch (err) {
      // The client still gets its answer.
      this.#call.logger.error({ err }, 'the conversation could not be stored');
    }
  }

  /** Returns what was stored. */
  async #put(messages: readonly ChatMessage[]): Promise<readonly ChatMessage[]> {
    const [question, ...rest] = messages;
    if (!this.#replaced || !question) {
      await this.#store.append(this.#key, messages);
      return messages;
    }
    const { from, versions } = this.#replaced;
    for (let first = 0; ; first++) {
      const kept = versions.slice(first);
      const all = [kept.length > 0 ? { ...question, versions: kept } : question, ...rest];
      try {
        await this.#store.replace?.(this.#key, from, all);
        return all;
      } catch (error) {
        // The oldest version goes first.
        if (kept.length === 0 || !WaggleError.is(error, 'TOO_LARGE')) throw error;
      }
    }
  }

  async #retract(kept: readonly ChatMessage[]): Promise<void> {
    try {
      await retract(this.#store, this.#key, kept);
      this.#kept = undefined;
    } catch (err) {
      this.#call.logger.error({ err }, 'a stopped answer could not be removed from its conversation');
    }
  }
}
