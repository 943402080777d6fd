import type { ChatMessage, ConversationKey, ConversationStore, Logger } from '#kernel';
import { remembered, retract, type Said } from './turn.js';

/** What of one turn is kept in its conversation. */
export class TurnMemory {
  readonly #store: ConversationStore;
  readonly #key: ConversationKey;
  readonly #turn: readonly ChatMessage[];
  readonly #logger: Logger;
  #kept: readonly ChatMessage[] | undefined;

  constructor(store: ConversationStore, key: ConversationKey, turn: readonly ChatMessage[], logger: Logger) {
    this.#store = store;
    this.#key = key;
    this.#turn = turn;
    this.#logger = logger;
  }

  /** Keeps it so, in the place of how it was kept before. */
  async keep(said: Said): Promise<void> {
    await this.#retract();
    const messages = remembered(this.#turn, said);
    try {
      await this.#store.append(this.#key, messages);
      this.#kept = messages;
    } catch (err) {
      // The client shall have its answer.
      this.#logger.error({ err }, 'the conversation could not be stored');
    }
  }

  async #retract(): Promise<void> {
    if (!this.#kept) return;
    try {
      await retract(this.#store, this.#key, this.#kept);
      this.#kept = undefined;
    } catch (err) {
      this.#logger.error({ err }, 'an answer that was stopped could not be taken back');
    }
  }
}
