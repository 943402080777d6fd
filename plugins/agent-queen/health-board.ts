import { type Agent, type AgentHealth, messageOf } from '#kernel';

interface Finding {
  readonly health: AgentHealth;
  readonly at: number;
}

/**
 * What is known of the agents' health. A healthy agent is believed for a while and checked again in the background, so
 * that no reply waits; an unhealthy one is checked again each time it is asked for.
 */
export class HealthBoard {
  readonly #findings = new Map<string, Finding>();
  readonly #checks = new Map<string, Promise<AgentHealth>>();
  readonly #ttlMs: number;
  readonly #timeoutMs: number;

  constructor(ttlMs: number, timeoutMs: number) {
    this.#ttlMs = ttlMs;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether to ask this agent now. */
  async isHealthy(agent: Agent): Promise<boolean> {
    const known = this.#findings.get(agent.name);
    if (!known?.health.healthy) return (await this.check(agent)).healthy;
    if (performance.now() - known.at > this.#ttlMs) void this.check(agent);
    return true;
  }

  /** A fresh finding, within the time limit. Checks that run already are joined. */
  check(agent: Agent): Promise<AgentHealth> {
    const running = this.#checks.get(agent.name);
    if (running) return running;
    const check = this.#ask(agent)
      .then((health) => {
        this.#findings.set(agent.name, { health, at: performance.now() });
        return health;
      })
      .finally(() => this.#checks.delete(agent.name));
    this.#checks.set(agent.name, check);
    return check;
  }

  /** After a failure the next request does not take the agent's health for granted. */
  doubt(agent: Agent): void {
    this.#findings.delete(agent.name);
  }

  async #ask(agent: Agent): Promise<AgentHealth> {
    if (!agent.health) return { healthy: true };
    const limit = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<AgentHealth>((resolve) => {
      timer = setTimeout(() => {
        resolve({ healthy: false, detail: `it did not answer within ${this.#timeoutMs} ms` });
        limit.abort();
      }, this.#timeoutMs);
    });
    try {
      return await Promise.race([agent.health(limit.signal), late]);
    } catch (error) {
      return { healthy: false, detail: messageOf(error) };
    } finally {
      clearTimeout(timer);
    }
  }
}
