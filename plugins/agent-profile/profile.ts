import {
  type Agent,
  type AgentCall,
  type AgentHealth,
  type AgentTakes,
  BaseAgent,
  type Capability,
  type ChatOptions,
  type ChatRequest,
  type ContextWindow,
  type StreamChunk,
} from '#kernel';
import type { Config } from './config.js';

/** An agent by config: another agent, with a prompt, a model, options and tools of its own. */
export class Profile extends BaseAgent {
  readonly name: string;
  readonly description?: string;
  readonly #config: Config;
  readonly #base: () => Agent | undefined;

  /** `base`: the agent that answers in its name, as long as it is registered. */
  constructor(name: string, config: Config, base: () => Agent | undefined) {
    super();
    this.name = name;
    if (config.description) this.description = config.description;
    this.#config = config;
    this.#base = base;
  }

  get takes(): AgentTakes {
    return this.#base()?.takes ?? { imageUrls: false, parts: false };
  }

  get capabilities(): readonly Capability[] | undefined {
    return this.#base()?.capabilities;
  }

  ignores(options: ChatOptions): readonly string[] {
    return this.#base()?.ignores?.(options) ?? Object.keys(options.more ?? {});
  }

  /** None of its own: that of the agent that answers in its name counts. */
  contextWindow(): ContextWindow {
    return { tokens: Number.POSITIVE_INFINITY };
  }

  async health(signal: AbortSignal): Promise<AgentHealth> {
    const base = this.#base();
    if (!base) return { healthy: false, detail: `there is no agent "${this.#config.agent}"` };
    const { healthy, detail } = (await base.health?.(signal)) ?? { healthy: true };
    const { model } = this.#config;
    return { healthy, ...(detail !== undefined && { detail }), ...(model && { model }) };
  }

  async loadedModels(signal: AbortSignal): Promise<readonly string[]> {
    return (await this.#base()?.loadedModels?.(signal)) ?? [];
  }

  generateResponseStream(
    request: ChatRequest,
    call: AgentCall,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]> {
    const { agent, tools, systemPrompt, model, options } = this.#config;
    const messages = systemPrompt
      ? [{ role: 'system' as const, content: systemPrompt }, ...request.messages]
      : request.messages;
    const asked = { ...request, messages, options: { ...options, ...definedIn(request.options) } };
    return call.useTools(tools, { ...asked, ...(model && { model: request.model ?? model }) }, (turn) =>
      call.stream(agent, turn),
    );
  }
}

/** An option that is undefined hides none of the profile. */
function definedIn(options: ChatOptions = {}): ChatOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
