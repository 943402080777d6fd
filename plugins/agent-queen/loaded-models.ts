import type { Agent } from '#kernel';
import { settleWithin } from '#sdk';

interface Known {
  models: readonly string[] | undefined;
  untilMs: number;
}

/** The models that agents have in memory, as they said lately. Asked for in the background: no request waits for it. */
export class LoadedModels {
  readonly #known = new WeakMap<Agent, Known>();
  readonly #ttlMs: number;
  readonly #timeoutMs: number;

  constructor(ttlMs: number, timeoutMs: number) {
    this.#ttlMs = ttlMs;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether it has the model in memory; any model for a request without one. False as long as that is unknown. */
  has(agent: Agent, model: string | undefined): boolean {
    if (!agent.loadedModels) return false;
    const known = this.#known.get(agent) ?? { models: undefined, untilMs: 0 };
    this.#known.set(agent, known);
    if (performance.now() >= known.untilMs) void this.#ask(agent, known);
    const { models = [] } = known;
    return model === undefined
      ? models.length > 0
      : models.includes(model) || models.includes(`${model}:latest`);
  }

  async #ask(agent: Agent, known: Known): Promise<void> {
    known.untilMs = performance.now() + this.#timeoutMs + this.#ttlMs;
    const limit = new AbortController();
    try {
      const asked = agent.loadedModels?.(limit.signal);
      if (asked && (await settleWithin(asked, this.#timeoutMs))) known.models = await asked;
      else known.models = undefined;
    } catch {
      // Its health check says what is wrong.
      known.models = undefined;
    }
    limit.abort();
    known.untilMs = performance.now() + this.#ttlMs;
  }
}
