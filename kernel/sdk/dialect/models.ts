import type { Agent } from '../../contracts/agent.js';
import type { AgentStatus, Chat } from '../../contracts/chat.js';
import type { ReadonlyRegistry } from '../../contracts/registry.js';
import { WaggleError } from '../../errors.js';
import { factsOfAgent, factsOfAll, type ModelFacts, untagged } from './model-facts.js';

/** A model as clients name it. */
export interface Model extends ModelFacts {
  readonly id: string;
  /** The start of this plugin, in milliseconds since 1970: models have no date of their own here. */
  readonly createdAt: number;
}

/** The models: each agent, and each model of an agent as `agent/model`. */
export class Models {
  readonly #agents: ReadonlyRegistry<Agent>;
  readonly #chat: Chat;
  readonly #createdAt = Date.now();

  constructor(agents: ReadonlyRegistry<Agent>, chat: Chat) {
    this.#agents = agents;
    this.#chat = chat;
  }

  /**
   * The chat agent first, then the others in the order of candidates, each followed by its models. Agents that cannot be
   * reached are left out: clients preselect the first model.
   */
  async list(): Promise<readonly Model[]> {
    const statuses = await this.#chat.statuses();
    const all = statuses.flatMap((status) => [
      ...(status.healthy || this.#isChat(status)
        ? [this.#model(status.name, this.#factsOf(status, statuses))]
        : []),
      // A server without a model that chats is not healthy, and may have some for embeddings.
      ...this.#modelsOf(status),
    ]);
    return [...new Map(all.map((model) => [model.id, model])).values()];
  }

  /** @throws AGENT_UNKNOWN */
  async find(id: string): Promise<Model> {
    const { agent, model } = this.resolve(id);
    const statuses = await this.#chat.statuses();
    const status = statuses.find(({ name }) => name === agent);
    if (model === undefined) return this.#model(id, status ? this.#factsOf(status, statuses) : {});
    const name = `${agent}/${untagged(model)}`;
    const found = status && this.#modelsOf(status).find((each) => each.id === name);
    if (found) return { ...found, id };
    throw this.#unknown(id);
  }

  /** Throws where there is no such model; an agent need not be asked for that. @throws AGENT_UNKNOWN */
  async check(id: string): Promise<void> {
    if (this.resolve(id).model !== undefined) await this.find(id);
  }

  /** Agent and model of a model id, without checking that the agent has the model. @throws AGENT_UNKNOWN */
  resolve(id: string): { readonly agent: string; readonly model: string | undefined } {
    const asked = this.#named(id);
    if (!asked) throw this.#unknown(id);
    // An answer names the chat agent and the agent behind it, as in `queen/ollama`.
    const isChat = this.#isChat({ name: asked.agent });
    const behind = isChat && asked.model !== undefined ? this.#named(asked.model) : undefined;
    return behind ?? asked;
  }

  /** The agent of a model id. @throws AGENT_UNKNOWN */
  agentOf(id: string): Agent | undefined {
    return this.#agents.find(this.resolve(id).agent);
  }

  #named(id: string): { readonly agent: string; readonly model: string | undefined } | undefined {
    for (const agent of [id, untagged(id)]) if (this.#agents.find(agent)) return { agent, model: undefined };
    for (let at = id.indexOf('/'); at > 0; at = id.indexOf('/', at + 1)) {
      const agent = id.slice(0, at);
      if (this.#agents.find(agent) && at + 1 < id.length) return { agent, model: id.slice(at + 1) };
    }
    return undefined;
  }

  #isChat({ name }: Pick<AgentStatus, 'name'>): boolean {
    return this.#agents.find(name) === (this.#chat as unknown);
  }

  #factsOf(status: AgentStatus, all: readonly AgentStatus[]): ModelFacts {
    if (!this.#isChat(status)) return factsOfAgent(status);
    const others = all.filter((each) => each.healthy && !each.namedOnly && !this.#isChat(each));
    const real = others.filter(({ demo }) => !demo);
    return factsOfAll((real.length > 0 ? real : others).map(factsOfAgent));
  }

  /** The models of an agent: those that can chat, and those that only make embeddings. */
  #modelsOf({ name: agent, models = [], modelDetails = [] }: AgentStatus): readonly Model[] {
    const others = modelDetails.filter(({ name, capabilities }) => {
      return capabilities?.includes('embedding') && !models.includes(name);
    });
    return [...models, ...others.map(({ name }) => name)].map((name) => {
      const { name: _, ...facts } = modelDetails.find((each) => each.name === name) ?? { name };
      return this.#model(`${agent}/${untagged(name)}`, facts);
    });
  }

  #model(id: string, facts: ModelFacts): Model {
    return { id, createdAt: this.#createdAt, ...facts };
  }

  #unknown(id: string): WaggleError {
    const known = [...this.#agents].map(({ name }) => name);
    return new WaggleError('AGENT_UNKNOWN', { agent: id.slice(0, 200), known });
  }
}
