import type { Agent, ReadonlyRegistry } from '#kernel';
import type { Answers } from './answers.js';
import type { Config } from './config.js';
import type { HealthBoard } from './health-board.js';
import { LoadedModels } from './loaded-models.js';

/** The agents for requests that name none, in the order in which they are asked. */
export class Candidates {
  readonly #groups: readonly (readonly string[])[];
  readonly #self: string;
  readonly #agents: ReadonlyRegistry<Agent>;
  readonly #health: HealthBoard;
  readonly #answers: Answers;
  readonly #loaded: LoadedModels;

  readonly #hasGroups: boolean;

  /** `self`: the name of the chat agent, which is no candidate. */
  constructor(
    { candidates, healthTtlMs, healthTimeoutMs }: Config,
    self: string,
    agents: ReadonlyRegistry<Agent>,
    health: HealthBoard,
    answers: Answers,
  ) {
    this.#groups = candidates.map((each) => (typeof each === 'string' ? [each] : each));
    this.#hasGroups = this.#groups.some(({ length }) => length > 1);
    this.#self = self;
    this.#agents = agents;
    this.#health = health;
    this.#answers = answers;
    this.#loaded = new LoadedModels(healthTtlMs, healthTimeoutMs);
  }

  /** All of them, as the config lists them. */
  get all(): readonly Agent[] {
    const found: Agent[] = [];
    for (const group of this.#groups) this.#add(group, found);
    return found;
  }

  /** The same, each group by its load: the least busy one first, then one with the model in memory. Agents that are down are left out. */
  balanced(model: string | undefined): readonly Agent[] {
    if (!this.#hasGroups) return this.all;
    return this.#groups.flatMap((group) => {
      const found: Agent[] = [];
      this.#add(group, found);
      return found.length > 1 && group.length > 1 ? this.#byLoad(found, model) : found;
    });
  }

  /** Whether another agent of its group comes later among `all`, so that no request waits for this one. */
  hasPeer(agent: Agent, all: readonly Agent[]): boolean {
    if (!this.#hasGroups) return false;
    const group = this.#groups.find((each) => each.length > 1 && each.includes(agent.name)) ?? [];
    const later = all.slice(all.indexOf(agent) + 1);
    return later.some((each) => group.includes(each.name) && !this.#health.isKnownDown(each));
  }

  #byLoad(group: readonly Agent[], model: string | undefined): readonly Agent[] {
    const rank = (agent: Agent) => ({
      agent,
      isDown: this.#health.isKnownDown(agent),
      running: this.#answers.runningOf(agent),
      isCold: Number(!this.#loaded.has(agent, model)),
    });
    const ranked = group.map(rank);
    const up = ranked.filter(({ isDown }) => !isDown);
    // With none that is up they are asked all the same: an answer counts more than a check.
    return (up.length > 0 ? up : ranked)
      .sort((a, b) => a.running - b.running || a.isCold - b.isCold)
      .map(({ agent }) => agent);
  }

  /** Adds the registered ones. */
  #add(group: readonly string[], found: Agent[]): void {
    for (const name of group)
      if (name === '*') found.push(...this.#others());
      else {
        const agent = name === this.#self ? undefined : this.#agents.find(name);
        if (agent) found.push(agent);
      }
  }

  /** Registered agents that the config does not list. */
  #others(): readonly Agent[] {
    const listed = new Set([this.#self, ...this.#groups.flat()]);
    return [...this.#agents].filter(({ name }) => !listed.has(name));
  }
}
