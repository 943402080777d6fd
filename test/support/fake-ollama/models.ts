import { parseMode } from './modes.js';

/** An installed model. */
export interface ModelSpec {
  readonly name: string;
  readonly capabilities?: readonly string[];
}

/** The contents of a request to generate. */
export interface GenerationRequest {
  readonly model: string;
  readonly think: boolean | string | undefined;
  readonly toolNames: readonly string[];
  /** The last message is the result of a tool. */
  readonly afterTool: boolean;
  readonly promptTokens: number;
}

/** An answer that is an error body. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** The models that are installed by default. */
export const defaultModels: readonly ModelSpec[] = [
  { name: 'llama3.2:latest', capabilities: ['completion', 'tools'] },
  { name: 'qwen3:latest', capabilities: ['completion', 'tools', 'thinking'] },
  { name: 'gemma2:2b', capabilities: ['completion'] },
  { name: 'nomic-embed-text:latest', capabilities: ['embedding'] },
];

function withTag(name: string): string {
  return parseMode(name) || name.slice(name.lastIndexOf('/') + 1).includes(':') ? name : `${name}:latest`;
}

/** The installed models. */
export class ModelTable {
  readonly #installed: ReadonlyMap<string, ModelSpec>;

  constructor(models: readonly (string | ModelSpec)[]) {
    const specs = models.map((model) => (typeof model === 'string' ? { name: model } : model));
    this.#installed = new Map(
      specs.map((spec) => [withTag(spec.name), { ...spec, name: withTag(spec.name) }]),
    );
  }

  /** Whether the model thinks unless asked not to. @throws Refusal if it cannot do what is asked */
  check({ model, toolNames, think }: GenerationRequest): boolean {
    const everything = ['completion', 'tools', 'vision', 'thinking'];
    const mode = parseMode(model) && { name: model, capabilities: everything };
    const spec = this.#installed.get(withTag(model)) ?? mode;
    if (!spec) throw new Refusal(404, `model '${model}' not found`);
    const can = (capability: string) => (spec.capabilities ?? ['completion']).includes(capability);
    if (!can('completion')) throw new Refusal(400, `"${model}" does not support chat`);
    if (toolNames.length > 0 && !can('tools'))
      throw new Refusal(400, `registry.ollama.ai/library/${withTag(model)} does not support tools`);
    if (think !== undefined && think !== false && !can('thinking'))
      throw new Refusal(400, `"${model}" does not support thinking`);
    return can('thinking');
  }

  /** The answer of `/api/tags`. */
  tags(): object {
    const models = [...this.#installed.values()].map(({ name, capabilities }) => {
      const family = /^[a-z]+/.exec(name)?.[0] ?? 'llama';
      return { name, model: name, details: { format: 'gguf', family, families: [family] }, capabilities };
    });
    return { models };
  }

  /** The answer of `/v1/models`. */
  v1(): object {
    const data = [...this.#installed.keys()].map((id) => ({ id, object: 'model', owned_by: 'library' }));
    return { object: 'list', data };
  }
}

interface Body {
  readonly model?: string;
  readonly think?: boolean | string;
  readonly messages?: readonly { readonly role?: string; readonly content?: unknown }[];
  readonly tools?: readonly { readonly function?: { readonly name?: string } }[];
}

/** Reads a request body. @throws Refusal */
export function readRequest(body: unknown): GenerationRequest {
  if (typeof body !== 'object' || body === null) throw new Refusal(400, 'unexpected EOF');
  const { model = '', think, messages = [], tools = [] } = body as Body;
  if (model === '') throw new Refusal(400, 'model is required');
  return {
    model,
    think,
    toolNames: tools.map((tool) => tool.function?.name ?? ''),
    afterTool: messages.at(-1)?.role === 'tool',
    promptTokens: Math.ceil(messages.map(({ content }) => String(content ?? '')).join(' ').length / 4),
  };
}
