import type { CallContext, ChatMessage, ConversationKey, ConversationStore } from '#kernel';
import { remembered, retract, type Said } from './turn.js';

/** The stored messages of one turn. */
export class TurnMemory {
  readonly #store: ConversationStore;
  readonly #key: ConversationKey;
  readonly #turn: readonly ChatMessage[];
  readonly #call: CallContext;
  readonly #imagesLimitChars: number;
  readonly #begunAt = Date.now();
  #kept: readonly ChatMessage[] | undefined;

  constructor(
    store: ConversationStore,
    key: ConversationKey,
    turn: readonly ChatMessage[],
    call: CallContext,
    imagesLimitChars: number,
  ) {
    this.#imagesLimitChars = imagesLimitChars;
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
      await this.#store.append(this.#key, messages);
      this.#kept = messages;
    } catch (err) {
      // The client still gets its answer.
      this.#call.logger.error({ err }, 'the conversation could not be stored');
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
