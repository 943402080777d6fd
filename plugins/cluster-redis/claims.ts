import { type Logger, type Undo, WaggleError } from '#kernel';
import { hashOf, type RedisLink, type RedisScript } from '#sdk/redis';
import { keepClaim, releaseClaim, takeClaim } from './claim-scripts.js';
import type { Keys } from './keys.js';
import { guarded } from './topics.js';

/** Bounds of claims. */
export interface ClaimTimes {
  /** The life of a claim that is not renewed, as after a crash. */
  readonly keepMs: number;
  /** The interval in which all are renewed. */
  readonly renewMs: number;
}

export const claimTimes: ClaimTimes = { keepMs: 30 * 60_000, renewMs: 10 * 60_000 };

/** The rest of a claim that was released. */
const restMs = 60_000;
/** Claims compared at once, which leaves room for other commands. */
const chunk = 500;

interface Claim {
  readonly hash: string;
  readonly atMs: number;
  readonly lost: () => void;
  /** Undefined until the engine has it. */
  generation: number | undefined;
  /** The highest generation that another node is known to have. */
  superseded: number;
  /** Whether the engine has been asked. */
  isUnderWay: boolean;
  isOver: boolean;
}

/** The rest of what claims stand on. */
export interface ClaimsAround {
  readonly nodeId: string;
  readonly keys: Keys;
  readonly link: Pick<RedisLink, 'run' | 'isUp'>;
  readonly logger: Logger;
  readonly times: ClaimTimes;
  /** Tells a node that its claim is superseded. */
  tell(nodeId: string, hash: string, generation: number): void;
}

/** Ids that this node alone holds, until a later claim anywhere takes one. */
export class Claims {
  readonly #around: ClaimsAround;
  readonly #claims = new Map<string, Claim>();
  /** Not yet in the engine, or not surely. */
  readonly #pending = new Set<Claim>();
  #takeovers = 0;
  #isReviewing = false;
  #reviewAgain = false;
  #renewAtMs: number;

  constructor(around: ClaimsAround) {
    this.#around = around;
    this.#renewAtMs = performance.now() + around.times.renewMs;
  }

  /** Claims that other nodes have taken. */
  get takeovers(): number {
    return this.#takeovers;
  }

  take(clientId: string, lost: () => void): Undo {
    const hash = hashOf(clientId);
    const before = this.#claims.get(hash);
    const claim: Claim = {
      ...{ hash, lost, atMs: Date.now() },
      ...{ generation: undefined, superseded: 0, isUnderWay: false, isOver: false },
    };
    this.#claims.set(hash, claim);
    if (before) this.#end(before);
    this.#pending.add(claim);
    if (this.#around.link.isUp) void this.#confirm(claim, takeClaim);
    return () => this.#release(claim);
  }

  /** Another node has a later claim. */
  superseded(hash: string, generation: number): void {
    const claim = this.#claims.get(hash);
    if (!claim) return;
    claim.superseded = Math.max(claim.superseded, generation);
    if (claim.generation !== undefined && claim.superseded > claim.generation) this.#lose(claim);
  }

  /** About once a second: makes up for what could not be done, and renews. */
  beat(): void {
    if (performance.now() >= this.#renewAtMs) this.review();
    else if (this.#pending.size > 0) void this.#reviewAll([...this.#pending]);
  }

  /** Compares all claims with the engine: after an outage, a loss of its data, or a message that is missing. */
  review(): void {
    this.#renewAtMs = performance.now() + this.#around.times.renewMs;
    this.#reviewAgain = true;
    void this.#reviewAll([]);
  }

  async #reviewAll(some: readonly Claim[]): Promise<void> {
    if (this.#isReviewing) return;
    this.#isReviewing = true;
    try {
      for (let list = some; this.#reviewAgain || list.length > 0; list = []) {
        if (this.#reviewAgain) list = [...this.#claims.values()];
        this.#reviewAgain = false;
        if (!(await this.#keepAll(list))) {
          // The engine does not take them now: once more at the next beat, and not before.
          if (list !== some) this.#renewAtMs = 0;
          return;
        }
      }
    } finally {
      this.#isReviewing = false;
    }
  }

  /** Stops at the first part that fails. */
  async #keepAll(list: readonly Claim[]): Promise<boolean> {
    const due = list.filter(({ isUnderWay }) => !isUnderWay);
    for (let at = 0; at < due.length; at += chunk) {
      if (!this.#around.link.isUp) return false;
      const part = due.slice(at, at + chunk);
      const results = await Promise.all(part.map((each) => this.#confirm(each, keepClaim)));
      if (results.includes(false)) return false;
    }
    return true;
  }

  /** Resolves with whether the engine has answered: never rejects, as what cannot be confirmed now is at a later beat. */
  async #confirm(claim: Claim, script: RedisScript): Promise<boolean> {
    if (claim.isOver) return true;
    const { nodeId, keys, link, logger, times, tell } = this.#around;
    const args = [nodeId, String(claim.atMs), String(times.keepMs), String(claim.generation ?? 0)];
    let reply: readonly [generation: number, node: string];
    claim.isUnderWay = true;
    try {
      reply = (await link.run(script, [keys.claim(claim.hash)], args)) as typeof reply;
    } catch (error) {
      // Of a missing engine the link tells, once.
      if (!WaggleError.is(error, 'ENGINE_UNAVAILABLE'))
        logger.error({ err: error }, 'a claim cannot be confirmed');
      if (!claim.isOver) this.#pending.add(claim);
      return false;
    } finally {
      claim.isUnderWay = false;
    }
    const [generation, node] = reply;
    if (generation === 0) {
      this.#lose(claim);
      return true;
    }
    claim.generation = Math.max(generation, claim.generation ?? 0);
    this.#pending.delete(claim);
    if (node !== '' && node !== nodeId) tell(node, claim.hash, generation);
    if (claim.isOver) await this.#forget(claim);
    else if (claim.superseded > claim.generation) this.#lose(claim);
    return true;
  }

  #lose(claim: Claim): void {
    if (claim.isOver) return;
    this.#takeovers++;
    this.#end(claim);
  }

  #end(claim: Claim): void {
    if (claim.isOver) return;
    this.#drop(claim);
    guarded(claim.lost, (error) =>
      this.#around.logger.error({ err: error }, 'a claim was lost, and its holder failed'),
    );
  }

  #release(claim: Claim): void {
    if (claim.isOver) return;
    this.#drop(claim);
    if (claim.generation !== undefined) void this.#forget(claim);
  }

  #drop(claim: Claim): void {
    claim.isOver = true;
    this.#pending.delete(claim);
    if (this.#claims.get(claim.hash) === claim) this.#claims.delete(claim.hash);
  }

  /** Best effort: what is left expires, and stands in the way of no later claim. */
  async #forget({ hash, generation }: Claim): Promise<void> {
    const { nodeId, keys, link, logger } = this.#around;
    const args = [nodeId, String(generation), String(restMs)];
    await link.run(releaseClaim, [keys.claim(hash)], args).catch((error) => {
      if (!WaggleError.is(error, 'ENGINE_UNAVAILABLE'))
        logger.error({ err: error }, 'a claim cannot be released');
    });
  }
}
