import { type Agent, type AgentHealth, messageOf } from '#kernel';
import { BackOff, settleWithin } from '#sdk';
import type { Config } from './config.js';

type HealthSettings = Pick<Config, 'healthTtlMs' | 'healthTimeoutMs'>;

const healthy: AgentHealth = { healthy: true };

/** How long a request waits for the check of an agent that was unhealthy. */
const recheckMs = 50;

interface HealthResult {
  readonly health: AgentHealth;
  readonly at: number;
}

/**
 * Cached health of the agents. A healthy result is valid for a while and refreshed in the background, so that no reply waits;
 * an unhealthy agent is checked again after a back-off. An answer overrides a check.
 */
export class HealthBoard {
  readonly #results = new Map<string, HealthResult>();
  readonly #checks = new Map<string, Promise<AgentHealth>>();
  readonly #backOffs = new Map<string, BackOff>();
  readonly #config: HealthSettings;

  constructor(config: HealthSettings) {
    this.#config = config;
  }

  /** Whether the agent is healthy as far as is known. A result that is too old is refreshed in the background. */
  isKnownHealthy(agent: Agent): boolean {
    const known = this.#results.get(agent.name);
    if (!known?.health.healthy) return false;
    if (performance.now() - known.at > this.#config.healthTtlMs) void this.check(agent);
    return true;
  }

  /** Whether the agent is unhealthy as far as is known. It is checked again in the background, after a back-off. */
  isKnownDown(agent: Agent): boolean {
    const known = this.#results.get(agent.name);
    if (!known || known.health.healthy) return false;
    if (!this.#checks.has(agent.name) && this.#backOff(agent).mayTry()) void this.check(agent);
    return true;
  }

  /** Whether to ask this agent now. */
  async isHealthy(agent: Agent): Promise<boolean> {
    if (this.isKnownHealthy(agent)) return true;
    if (!this.#results.has(agent.name)) return (await this.check(agent)).healthy;
    if (!this.#backOff(agent).mayTry()) return false;
    // A server that is back says so at once; no request waits for one that is still dead.
    const check = this.check(agent);
    return (await settleWithin(check, recheckMs)) && (await check).healthy;
  }

  /** A fresh result, within the time limit. Joins a running check. */
  check(agent: Agent): Promise<AgentHealth> {
    const running = this.#checks.get(agent.name);
    if (running) return running;
    const check = this.#ask(agent)
      .then((health) => {
        this.#record(agent, health);
        return health;
      })
      .finally(() => this.#checks.delete(agent.name));
    this.#checks.set(agent.name, check);
    return check;
  }

  /** Records an answer as a healthy result. */
  confirm(agent: Agent): void {
    this.#record(agent, healthy);
  }

  /** Drops a healthy result after a failure, so that the next request checks again. */
  doubt(agent: Agent): void {
    if (this.#results.get(agent.name)?.health.healthy) this.#results.delete(agent.name);
  }

  /** Drops all results of an unregistered agent. */
  forget({ name }: Agent): void {
    this.#results.delete(name);
    this.#backOffs.delete(name);
  }

  #record(agent: Agent, health: AgentHealth): void {
    this.#results.set(agent.name, { health, at: performance.now() });
    if (health.healthy) this.#backOffs.delete(agent.name);
    else this.#backOff(agent).failed();
  }

  #backOff({ name }: Agent): BackOff {
    // One failure is tolerated.
    const backOff = this.#backOffs.get(name) ?? new BackOff(1);
    this.#backOffs.set(name, backOff);
    return backOff;
  }

  async #ask(agent: Agent): Promise<AgentHealth> {
    if (!agent.health) return { healthy: true };
    const limit = new AbortController();
    try {
      const asked = Promise.resolve(agent.health(limit.signal));
      if (await settleWithin(asked, this.#config.healthTimeoutMs)) return await asked;
      limit.abort();
      // After the abort an agent may still return a result.
      if (await settleWithin(asked, 1)) return await asked;
      return { healthy: false, detail: `it did not answer within ${this.#config.healthTimeoutMs} ms` };
    } catch (error) {
      return { healthy: false, detail: messageOf(error) };
    }
  }
}
