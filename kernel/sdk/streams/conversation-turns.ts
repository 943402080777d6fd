import { WaggleError } from '../../errors.js';
import { type Deferred, deferred } from '../deferred.js';
import type { StreamsConfig } from './config.js';

/** `cancelTimeoutMs`: also how long the next turn waits for the agent of a reply that has ended. */
type Limits = Pick<StreamsConfig, 'maxWaitingPerConversation' | 'cancelTimeoutMs'>;

/** A reply in the line of its conversation. */
interface Waiting {
  /** Tells how many replies of the conversation are before it. */
  wait(ahead: number): void;
}

/** The turn of one reply in its conversation. */
export class ConversationTurn {
  readonly key: string;
  /** Cleared when it has left: outgrown tables of a map hold removed values until the next major collection. */
  reply: Waiting | undefined;
  before: ConversationTurn | undefined;
  after: ConversationTurn | undefined;
  /** Resolves once it is the first; undefined where it has been from the start. */
  first: Deferred<void> | undefined;
  /** Whether the reply has ended, and only its agent has not stopped yet. */
  isEnded = false;
  timer: NodeJS.Timeout | undefined;

  constructor(key: string, reply: Waiting, before: ConversationTurn | undefined) {
    this.key = key;
    this.reply = reply;
    this.before = before;
    if (!before) return;
    before.after = this;
    this.first = deferred();
  }
}

/** Turns of conversations: those of one run one after the other, in the order in which they were accepted. */
export class ConversationTurns {
  readonly #last = new Map<string, ConversationTurn>();
  readonly #limits: Limits;
  /** Turns that wait for others of their conversations. */
  waiting = 0;

  /** The limits may change. */
  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** The last turn of a conversation, after which the next one comes. @throws BUSY */
  last(key: string): ConversationTurn | undefined {
    const last = this.#last.get(key);
    if (!last) return undefined;
    let ahead = 0;
    for (let turn: ConversationTurn | undefined = last; turn; turn = turn.before) ahead++;
    const { maxWaitingPerConversation: limit } = this.#limits;
    if (ahead <= limit) return last;
    throw new WaggleError('BUSY', { limit, what: 'waiting messages in one conversation' });
  }

  enter(key: string, reply: Waiting, before: ConversationTurn | undefined): ConversationTurn {
    const turn = new ConversationTurn(key, reply, before);
    this.#last.set(key, turn);
    if (!before) return turn;
    this.waiting++;
    if (before.isEnded) this.#limit(before);
    this.#tell(turn);
    return turn;
  }

  /** Its reply has ended. The agent may need a moment longer, and the end of the turn is not stored before that. */
  ended(turn: ConversationTurn): void {
    turn.isEnded = true;
    if (turn.after && !turn.before) this.#limit(turn);
  }

  /** Its agent has stopped, or was never asked. Later calls do nothing. */
  leave(turn: ConversationTurn): void {
    if (!turn.reply) return;
    turn.reply = undefined;
    clearTimeout(turn.timer);
    const { key, before, after } = turn;
    turn.before = turn.after = undefined;
    if (before) before.after = after;
    if (after) after.before = before;
    else if (before) this.#last.set(key, before);
    else this.#last.delete(key);
    if (before) {
      this.waiting--;
      turn.first?.reject(new WaggleError('TASK_CANCELLED', { task: 'chat:message' }));
    } else if (after) {
      this.waiting--;
      if (after.isEnded && after.after) this.#limit(after);
      after.first?.resolve();
    }
    for (let next = before ? after : after?.after; next; next = next.after) this.#tell(next);
  }

  #limit(turn: ConversationTurn): void {
    turn.timer ??= setTimeout(() => this.leave(turn), this.#limits.cancelTimeoutMs);
  }

  #tell(turn: ConversationTurn): void {
    let ahead = 0;
    for (let each = turn.before; each; each = each.before) ahead++;
    turn.reply?.wait(ahead);
  }
}
