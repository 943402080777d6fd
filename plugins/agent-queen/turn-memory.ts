import type { ChatMessage, ConversationKey, ConversationStore, Logger } from '#kernel';
import { remembered, retract, type Said } from './turn.js';

/** The stored messages of one turn. */
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

  /** Stores the turn, replacing what was stored of it before. */
  async keep(said: Said): Promise<void> {
    await this.#retract();
    const messages = remembered(this.#turn, said);
    try {
      await this.#store.append(this.#key, messages);
      this.#kept = messages;
    } catch (err) {
      // The client still gets its answer.
      this.#logger.error({ err }, 'the conversation could not be stored');
    }
  }

  async #retract(): Promise<void> {
    if (!this.#kept) return;
    try {
      await retract(this.#store, this.#key, this.#kept);
      this.#kept = undefined;
    } catch (err) {
      this.#logger.error({ err }, 'a stopped answer could not be removed from its conversation');
    }
  }
}
