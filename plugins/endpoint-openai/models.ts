import { type Agent, type Chat, type ReadonlyRegistry, WaggleError } from '#kernel';

export interface Model {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
}

/** The models: each agent, and each model of an agent as `agent/model`. */
export class Models {
  readonly #agents: ReadonlyRegistry<Agent>;
  readonly #chat: Chat;
  readonly #created = Math.floor(Date.now() / 1000);

  constructor(agents: ReadonlyRegistry<Agent>, chat: Chat) {
    this.#agents = agents;
    this.#chat = chat;
  }

  async list(): Promise<readonly Model[]> {
    const statuses = await this.#chat.statuses();
    const ids = statuses.flatMap(({ name, models = [] }) => [
      name,
      ...models.map((model) => `${name}/${untagged(model)}`),
    ]);
    return [...new Set(ids)].map((id) => this.#model(id));
  }

  /** @throws AGENT_UNKNOWN */
  async find(id: string): Promise<Model> {
    const { agent, model } = this.resolve(id);
    if (model === undefined) return this.#model(id);
    const status = (await this.#chat.statuses()).find(({ name }) => name === agent);
    if (status?.models?.some((each) => untagged(each) === untagged(model))) return this.#model(id);
    throw this.#unknown(id);
  }

  /** Agent and model of a model id, without checking that the agent has the model. @throws AGENT_UNKNOWN */
  resolve(id: string): { readonly agent: string; readonly model: string | undefined } {
    const asked = this.#named(id);
    if (!asked) throw this.#unknown(id);
    // An answer names the chat agent and the agent behind it, as in `queen/ollama`.
    const isChat = this.#agents.find(asked.agent) === (this.#chat as unknown);
    const behind = isChat && asked.model !== undefined ? this.#named(asked.model) : undefined;
    return behind ?? asked;
  }

  #named(id: string): { readonly agent: string; readonly model: string | undefined } | undefined {
    if (this.#agents.find(id)) return { agent: id, model: undefined };
    for (let at = id.indexOf('/'); at > 0; at = id.indexOf('/', at + 1)) {
      const agent = id.slice(0, at);
      if (this.#agents.find(agent) && at + 1 < id.length) return { agent, model: id.slice(at + 1) };
    }
    return undefined;
  }

  /** The agent of a model id. @throws AGENT_UNKNOWN */
  agentOf(id: string): Agent | undefined {
    return this.#agents.find(this.resolve(id).agent);
  }

  #model(id: string): Model {
    return { id, object: 'model', created: this.#created, owned_by: 'waggle' };
  }

  #unknown(id: string): WaggleError {
    const known = [...this.#agents].map(({ name }) => name);
    return new WaggleError('AGENT_UNKNOWN', { agent: id.slice(0, 200), known });
  }
}

/** A model name without the default tag, which some servers write out. */
function untagged(model: string): string {
  return model.replace(/:latest$/, '');
}
