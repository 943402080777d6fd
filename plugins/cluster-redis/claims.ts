import type { Logger, Undo } from '#kernel';
import { hashOf, type RedisLink, type RedisScript } from '#sdk/redis';
import { keepClaim, releaseClaim, takeClaim } from './claim-scripts.js';
import type { Keys } from './keys.js';

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
/** Claims renewed at once, and those made up for at one beat. */
const chunk = 500;

interface Claim {
  readonly hash: string;
  readonly atMs: number;
  readonly lost: () => void;
  /** Undefined until the engine has it. */
  generation: number | undefined;
  /** The highest generation that another node is known to have. */
  superseded: number;
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
      ...{ generation: undefined, superseded: 0, isOver: false },
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
    else if (this.#pending.size > 0 && this.#around.link.isUp) {
      void this.#reviewAll([...this.#pending].slice(0, chunk));
    }
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
      let list = some;
      while (this.#reviewAgain || list.length > 0) {
        if (this.#reviewAgain) list = [...this.#claims.values()];
        this.#reviewAgain = false;
        for (let at = 0; at < list.length && this.#around.link.isUp; at += chunk)
          await Promise.all(list.slice(at, at + chunk).map((each) => this.#confirm(each, keepClaim)));
        list = [];
      }
    } finally {
      this.#isReviewing = false;
    }
  }

  /** Never rejects: what cannot be confirmed now is at a later beat. */
  async #confirm(claim: Claim, script: RedisScript): Promise<void> {
    if (claim.isOver) return;
    const { nodeId, keys, link, logger, times, tell } = this.#around;
    const args = [nodeId, String(claim.atMs), String(times.keepMs), String(claim.generation ?? 0)];
    let reply: readonly [generation: number, node: string];
    try {
      reply = (await link.run(script, [keys.claim(claim.hash)], args)) as typeof reply;
    } catch (error) {
      logger.debug({ err: error }, 'a claim is not confirmed');
      if (!claim.isOver) this.#pending.add(claim);
      return;
    }
    const [generation, node] = reply;
    if (generation === 0) {
      this.#lose(claim);
      return;
    }
    claim.generation = Math.max(generation, claim.generation ?? 0);
    this.#pending.delete(claim);
    if (node !== '' && node !== nodeId) tell(node, claim.hash, generation);
    if (claim.isOver) await this.#forget(claim);
    else if (claim.superseded > claim.generation) this.#lose(claim);
  }

  #lose(claim: Claim): void {
    if (claim.isOver) return;
    this.#takeovers++;
    this.#end(claim);
  }

  #end(claim: Claim): void {
    if (claim.isOver) return;
    this.#drop(claim);
    try {
      claim.lost();
    } catch (error) {
      this.#around.logger.error({ err: error }, 'a claim was lost, and its holder failed');
    }
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
    await link
      .run(releaseClaim, [keys.claim(hash)], args)
      .catch((error) => logger.debug({ err: error }, 'a claim is not released'));
  }
}
