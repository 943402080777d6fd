import { isModeName } from './mode-name.js';
import { Refusal } from './refusal.js';
import type { GenerationRequest } from './request.js';

/** An installed model. */
export interface ModelSpec {
  readonly name: string;
  readonly capabilities?: readonly string[];
}

/** What is installed when nothing else is asked for. */
export const defaultModels: readonly ModelSpec[] = [
  { name: 'llama3.2:latest', capabilities: ['completion', 'tools'] },
  { name: 'qwen3:latest', capabilities: ['completion', 'tools', 'thinking'] },
  { name: 'gemma2:2b', capabilities: ['completion'] },
  { name: 'nomic-embed-text:latest', capabilities: ['embedding'] },
];

const everything = ['completion', 'tools', 'vision', 'thinking'];

function withTag(name: string): string {
  return isModeName(name) || name.slice(name.lastIndexOf('/') + 1).includes(':') ? name : `${name}:latest`;
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

  /** The spec of the model, installed or a mode, that can do what the request asks for. @throws Refusal */
  check({ model, toolNames, think }: GenerationRequest): ModelSpec {
    const mode = isModeName(model) ? { name: model, capabilities: everything } : undefined;
    const spec = this.#installed.get(withTag(model)) ?? mode;
    if (spec === undefined) throw new Refusal(404, `model '${model}' not found`);
    const can = (capability: string): boolean => (spec.capabilities ?? ['completion']).includes(capability);
    if (!can('completion')) throw new Refusal(400, `"${model}" does not support chat`);
    if (toolNames.length > 0 && !can('tools'))
      throw new Refusal(400, `registry.ollama.ai/library/${withTag(model)} does not support tools`);
    if (think !== undefined && think !== false && !can('thinking'))
      throw new Refusal(400, `"${model}" does not support thinking`);
    return spec;
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
