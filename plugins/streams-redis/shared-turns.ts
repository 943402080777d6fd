import { type Cluster, type Logger, type Undo, WaggleError } from '#kernel';
import { settleWithin } from '#sdk';
import { hashOf, type RedisLink, unavailable } from '#sdk/redis';
import type { Config } from './config.js';
import type { Keys } from './keys.js';
import { Turn, type TurnLine } from './turn.js';
import { enterTurn, leaveTurn } from './turn-scripts.js';

/** Something has changed in a line: its key, and the reply that is first as the sender sees it, or ''. */
const turnTopic = 'streams:turn';

const beatMs = 1000;
/** Looks, a beat apart, at which a node is not alive until its entries are dropped: one that has just joined is not known yet. */
const maxDeadLooks = 3;
/** How long those whose entries are lost may take to write them again. */
const restoredMs = 2500;
/** How long a reply that may be the next waits for the engine. */
const awayLimitMs = 5000;

/** The rest of what turns stand on. */
export interface TurnsAround {
  readonly cluster: Cluster;
  readonly link: Pick<RedisLink, 'run' | 'isUp' | 'awayMs'>;
  readonly keys: Keys;
  readonly logger: Logger;
  readonly config: Pick<Config, 'maxWaitingPerConversation' | 'cancelTimeoutMs'>;
  readonly ttlMs: number;
}

/** A line that this node leaves. */
interface Leaving {
  readonly key: string;
  /** Resolves once it is known whether the engine has heard of it. */
  readonly done: Promise<void>;
  hasFailed: boolean;
}

/** Turns of conversations over all nodes: one after the other, in the order in which they have entered. */
export class SharedTurns implements TurnLine {
  readonly #around: TurnsAround;
  /** Of the replies that run here, by hash. */
  readonly #turns = new Map<string, Turn>();
  /** The same by line. */
  readonly #lines = new Map<string, Set<Turn>>();
  /** Those that have not begun. */
  readonly #waiting = new Set<Turn>();
  /** Replies that are about to have a turn. */
  readonly #entering = new Set<string>();
  /** By reply. */
  readonly #leaving = new Map<string, Leaving>();
  readonly #undo: Undo;
  #timer: NodeJS.Timeout | undefined;

  constructor(around: TurnsAround) {
    this.#around = around;
    this.#undo = around.cluster.on(turnTopic, (body) => this.#onChange(...(body as [string, string])));
  }

  get cancelTimeoutMs(): number {
    return this.#around.config.cancelTimeoutMs;
  }

  /** @throws BUSY, ENGINE_UNAVAILABLE */
  async enter(conversation: string, streamId: string): Promise<Turn> {
    const turn = this.#turnOf(conversation, streamId, false);
    const { key, hash } = turn;
    const { isUp } = this.#around.link;
    this.#entering.add(hash);
    try {
      await this.#ask(turn);
    } catch (error) {
      // It may have entered all the same.
      if (isUp && WaggleError.is(error, 'ENGINE_UNAVAILABLE')) this.#remove(key, hash);
      throw error;
    } finally {
      this.#entering.delete(hash);
    }
    this.#add(turn);
    return turn;
  }

  /** The first turn of a new conversation, of which no other node knows yet: it waits for nothing. */
  begin(conversation: string, streamId: string): Turn {
    const turn = this.#turnOf(conversation, streamId, true);
    this.#add(turn);
    void this.#look(turn);
    return turn;
  }

  left(turn: Turn): void {
    const { key, hash } = turn;
    this.#turns.delete(hash);
    this.#waiting.delete(turn);
    const line = this.#lines.get(key);
    line?.delete(turn);
    if (line?.size === 0) this.#lines.delete(key);
    this.#remove(key, hash);
  }

  /** The engine was away, or may have lost lines. */
  restore(): void {
    for (const turn of this.#turns.values()) void this.#look(turn);
    this.#leaveAgain();
  }

  async close(boundMs: number): Promise<void> {
    for (const turn of [...this.#turns.values()]) turn.leave();
    this.#leaveAgain();
    await settleWithin(Promise.all([...this.#leaving.values()].map(({ done }) => done)), boundMs);
    clearInterval(this.#timer);
    void this.#undo();
  }

  #turnOf(conversation: string, streamId: string, hasBegun: boolean): Turn {
    const key = this.#around.keys.line(streamId, hashOf(JSON.stringify(conversation)));
    return new Turn(key, hashOf(streamId), this, hasBegun);
  }

  #add(turn: Turn): void {
    this.#turns.set(turn.hash, turn);
    const line = this.#lines.get(turn.key) ?? new Set();
    this.#lines.set(turn.key, line.add(turn));
    if (!turn.hasBegun) this.#waiting.add(turn);
    this.#beatWhileNeeded();
  }

  /** Asks the engine for its place. @throws BUSY, ENGINE_UNAVAILABLE */
  async #ask(turn: Turn): Promise<void> {
    const { cluster, link, config, ttlMs } = this.#around;
    const { maxWaitingPerConversation: limit } = config;
    const { ticket = '', before } = turn;
    const mayBegin = performance.now() >= turn.notBeforeMs;
    const lost = before.deadLooks >= maxDeadLooks ? before.nodeId : '';
    const reply = (await link.run(
      enterTurn,
      [turn.key],
      [
        ...[turn.hash, cluster.nodeId, ticket, turn.hasBegun ? 'r' : 'w', mayBegin ? '1' : '0'],
        ...[String(limit), String(ttlMs), lost],
      ],
    )) as [number, number, string, number, string, string];
    const [ahead, hasBegun, its, wasThere, hash, nodeId] = reply;
    if (ahead === -1) throw new WaggleError('BUSY', { limit, what: 'waiting messages in one conversation' });
    // Another node runs its reply again, and this one is about to be told.
    if (ahead === -2) return;
    if (ticket !== '' && wasThere === 0) {
      turn.notBeforeMs = performance.now() + restoredMs;
      void cluster.broadcast(turnTopic, [turn.key, '']);
    }
    turn.ticket = its;
    turn.before = { hash, nodeId, deadLooks: nodeId === before.nodeId ? before.deadLooks : 0 };
    turn.heard(ahead, hasBegun === 1);
    if (turn.hasBegun) this.#waiting.delete(turn);
    if (nodeId === cluster.nodeId) this.#check(turn.key, hash);
  }

  /** Asks once more, one question at a time. */
  async #look(turn: Turn): Promise<void> {
    turn.looksAgain = true;
    if (turn.isLooking) return;
    turn.isLooking = true;
    try {
      while (turn.looksAgain && !turn.isOver) {
        turn.looksAgain = false;
        await this.#ask(turn);
      }
    } catch (error) {
      // The engine comes back, and so does this question.
      if (!WaggleError.is(error, 'ENGINE_UNAVAILABLE'))
        this.#around.logger.error({ err: error }, 'the line of a conversation cannot be read');
    } finally {
      turn.isLooking = false;
      this.#beatWhileNeeded();
    }
  }

  #remove(key: string, hash: string): void {
    const { cluster, link, logger } = this.#around;
    const done = link.run(leaveTurn, [key], [hash, cluster.nodeId]).then(
      (nodes) => {
        this.#leaving.delete(hash);
        this.#beatWhileNeeded();
        for (const node of nodes as readonly string[])
          if (node === cluster.nodeId) this.#lookAll(key);
          else void cluster.send(node, turnTopic, [key, '']);
      },
      (error: unknown) => {
        leaving.hasFailed = true;
        if (WaggleError.is(error, 'ENGINE_UNAVAILABLE')) return;
        this.#leaving.delete(hash);
        logger.error({ err: error }, 'the line of a conversation cannot be left');
      },
    );
    const leaving: Leaving = { key, done, hasFailed: false };
    this.#leaving.set(hash, leaving);
    this.#beatWhileNeeded();
  }

  #leaveAgain(): void {
    for (const [hash, { key, hasFailed }] of [...this.#leaving]) if (hasFailed) this.#remove(key, hash);
  }

  #onChange(key: string, hash: string): void {
    this.#check(key, hash);
    this.#lookAll(key);
  }

  /** Leaves a line in which a reply of this node is that is not here any more: the engine has not heard of its end. */
  #check(key: string, hash: string): void {
    const isHere = this.#turns.has(hash) || this.#entering.has(hash) || this.#leaving.has(hash);
    if (hash !== '' && !isHere) this.#remove(key, hash);
  }

  #lookAll(key: string): void {
    for (const turn of this.#lines.get(key) ?? []) void this.#look(turn);
  }

  #beatWhileNeeded(): void {
    if (this.#leaving.size > 0 || this.#waiting.size > 0) {
      this.#timer ??= setInterval(() => this.#beat(), beatMs);
      return;
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #beat(): void {
    const { cluster, link } = this.#around;
    const alive = new Set(cluster.alive().map(({ id }) => id));
    for (const turn of this.#waiting) {
      const { before } = turn;
      if (alive.has(before.nodeId)) before.deadLooks = 0;
      else if (cluster.stats.up) before.deadLooks++;
      // It says so if it does not know that reply any more, or writes it again.
      if (before.nodeId !== '' && before.nodeId !== cluster.nodeId)
        void cluster.send(before.nodeId, turnTopic, [turn.key, before.hash]);
      // While the one before it runs here, it can still be that the engine comes back in time.
      if (link.awayMs > awayLimitMs && !this.#turns.has(before.hash)) turn.fail(unavailable('it is away'));
      void this.#look(turn);
    }
    this.#leaveAgain();
    this.#beatWhileNeeded();
  }
}
