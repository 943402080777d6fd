import { WaggleError } from '#kernel';
import { type Deferred, deferred } from '#sdk';
import type { SharedTurn } from '#sdk/streams';

/** The line of turns that it belongs to. */
export interface TurnLine {
  left(turn: Turn): void;
  /** How long the next one waits for the agent of a reply that has ended. */
  readonly cancelTimeoutMs: number;
}

/** The turn of a reply that runs here, in a conversation that all nodes share. */
export class Turn implements SharedTurn {
  /** The line of its conversation. */
  readonly key: string;
  /** Its reply. */
  readonly hash: string;
  /** Its place in the order; undefined until the engine has it. */
  ticket: string | undefined;
  /** The reply before all others, its node, and how many looks in a row that node was not alive. */
  before = { hash: '', nodeId: '', deadLooks: 0 };
  /** Until when it does not begin, as others may have to write themselves again. */
  notBeforeMs = 0;
  isLooking = false;
  looksAgain = false;
  readonly #line: TurnLine;
  #ahead = 0;
  #hasBegun: boolean;
  #isOver = false;
  #begun: Deferred<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #listener: ((ahead: number) => void) | undefined;

  constructor(key: string, hash: string, line: TurnLine, hasBegun: boolean) {
    this.key = key;
    this.hash = hash;
    this.#line = line;
    this.#hasBegun = hasBegun;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  onAhead(listener: (ahead: number) => void): void {
    if (this.#hasBegun) return;
    this.#listener = listener;
    if (this.#ahead > 0) listener(this.#ahead);
  }

  wait(): Promise<void> | undefined {
    if (this.#hasBegun) return undefined;
    this.#begun ??= deferred();
    return this.#begun.promise;
  }

  ended(): void {
    if (!this.#isOver) this.#timer ??= setTimeout(() => this.leave(), this.#line.cancelTimeoutMs);
  }

  leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener = undefined;
    clearTimeout(this.#timer);
    if (!this.#hasBegun) this.fail(new WaggleError('TASK_CANCELLED', { task: 'chat:message' }));
    this.#line.left(this);
  }

  /** The place that it has in the engine. */
  heard(ahead: number, hasBegun: boolean): void {
    if (this.#hasBegun || this.#isOver) return;
    if (ahead > 0 && ahead !== this.#ahead) this.#listener?.(ahead);
    this.#ahead = ahead;
    if (!hasBegun) return;
    this.#hasBegun = true;
    this.#listener = undefined;
    this.#begun?.resolve();
  }

  /** It cannot be found out whether it may begin. */
  fail(error: unknown): void {
    this.#begun?.reject(error);
  }
}
