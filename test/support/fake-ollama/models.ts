import { createHash } from 'node:crypto';
import { isModeName } from './mode-name.js';
import { Refusal } from './refusal.js';
import type { GenerationRequest } from './request.js';
import { rfc3339, wallClockMs } from './time.js';

/** An installed model. */
export interface ModelSpec {
  readonly name: string;
  readonly capabilities?: readonly string[];
  readonly sizeBytes?: number;
  readonly sizeVramBytes?: number;
  readonly contextLength?: number;
}

interface Loaded {
  active: number;
  keepAliveMs: number;
  expiresAtMs: number;
}

/** What is installed when nothing else is asked for. */
export const defaultModels: readonly ModelSpec[] = [
  { name: 'llama3.2:latest', capabilities: ['completion', 'tools'] },
  { name: 'qwen3:latest', capabilities: ['completion', 'tools', 'thinking'] },
  { name: 'gemma2:2b', capabilities: ['completion'] },
  { name: 'nomic-embed-text:latest', capabilities: ['embedding'] },
];

const defaultKeepAliveMs = 300_000;
const forEverMs = 292 * 365 * 86_400_000;
const localOffsetHours = 2;
const modifiedAt = '2026-08-01T12:34:56.123456789+02:00';
const everything = ['completion', 'tools', 'insert', 'vision', 'thinking'];

function withTag(name: string): string {
  return isModeName(name) || name.slice(name.lastIndexOf('/') + 1).includes(':') ? name : `${name}:latest`;
}

function fullName(name: string): string {
  return `registry.ollama.ai/library/${withTag(name)}`;
}

/** The installed and the loaded models; answers the read-only routes. */
export class ModelTable {
  readonly #installed: ReadonlyMap<string, ModelSpec>;
  readonly #loaded = new Map<string, Loaded>();

  constructor(models: readonly (string | ModelSpec)[]) {
    const specs = models.map((model) => (typeof model === 'string' ? { name: model } : model));
    this.#installed = new Map(
      specs.map((spec) => [withTag(spec.name), { ...spec, name: withTag(spec.name) }]),
    );
  }

  /** The spec of an installed model or of a mode; throws when there is none. */
  find(name: string, nameInError = name): ModelSpec {
    if (isModeName(name)) return this.#installed.get(name) ?? { name, capabilities: everything };
    if (!/^[\w.-]+(\/[\w.-]+)*(:[\w.-]+)?$/.test(name)) throw new Refusal(400, 'invalid model name');
    if (name.endsWith(':cloud')) {
      throw new Refusal(403, 'ollama cloud is disabled: remote model is unavailable');
    }
    const spec = this.#installed.get(withTag(name.replace(/:local$/, '')));
    if (spec === undefined) throw new Refusal(404, `model '${nameInError}' not found`);
    return spec;
  }

  /** Throws when the model cannot do what the request asks for; gives its spec otherwise. */
  check(request: GenerationRequest): ModelSpec {
    const spec = this.find(request.model);
    const can = (capability: string): boolean => (spec.capabilities ?? ['completion']).includes(capability);
    if (!can('completion')) {
      throw new Refusal(400, `"${request.model}" does not support ${request.route}`);
    }
    if (request.toolNames.length > 0 && !can('tools')) {
      throw new Refusal(400, `${fullName(request.model)} does not support tools`);
    }
    if (request.suffix !== '' && !can('insert')) {
      throw new Refusal(400, `${fullName(request.model)} does not support insert`);
    }
    if (request.think !== undefined && request.think !== false && !can('thinking')) {
      throw new Refusal(400, `"${request.model}" does not support thinking`);
    }
    return spec;
  }

  /** A request uses the model from now on. */
  begin(name: string, keepAliveMs: number | undefined): void {
    const loaded = this.#loaded.get(withTag(name)) ?? {
      active: 0,
      keepAliveMs: defaultKeepAliveMs,
      expiresAtMs: 0,
    };
    loaded.active += 1;
    loaded.keepAliveMs = keepAliveMs ?? loaded.keepAliveMs;
    this.#touch(loaded);
    this.#loaded.set(withTag(name), loaded);
  }

  /** A request is over; the keep-alive runs from the end of the last one. */
  end(name: string): void {
    const loaded = this.#loaded.get(withTag(name));
    if (loaded === undefined) return;
    loaded.active -= 1;
    this.#touch(loaded);
  }

  /** Drops the model from memory. */
  unload(name: string): void {
    this.#loaded.delete(withTag(name));
  }

  /** Drops all models from memory, as a restart does. */
  unloadAll(): void {
    this.#loaded.clear();
  }

  /** The answer of `/api/tags`. */
  tags(): object {
    return {
      models: [...this.#installed.values()].map((spec) => ({
        ...this.#head(spec),
        details: this.#details(spec),
        capabilities: spec.capabilities,
      })),
    };
  }

  /** The answer of `/v1/models`. */
  v1(): object {
    const data = [...this.#installed.keys()].map((id) => ({
      id,
      object: 'model',
      created: 1,
      owned_by: 'library',
    }));
    return { object: 'list', data };
  }

  /** The answer of `/api/ps`, longest remaining life first. */
  ps(): object {
    const now = wallClockMs();
    for (const [name, loaded] of this.#loaded) {
      if (loaded.active === 0 && loaded.expiresAtMs <= now) this.#loaded.delete(name);
    }
    const rows = [...this.#loaded].sort(([, a], [, b]) => b.expiresAtMs - a.expiresAtMs);
    return {
      models: rows.map(([name, loaded]) => {
        const spec = this.#installed.get(name) ?? { name };
        const { modified_at: _, ...head } = this.#head(spec);
        return {
          ...head,
          details: this.#details(spec),
          expires_at: rfc3339(loaded.expiresAtMs, localOffsetHours),
          size_vram: spec.sizeVramBytes ?? head.size,
          context_length: spec.contextLength ?? 4_096,
        };
      }),
    };
  }

  /** The answer of `/api/show`. */
  show(name: string): object {
    const spec = this.find(name, withTag(name));
    return {
      license: 'MIT',
      modelfile: `FROM ${spec.name}\n`,
      parameters: 'stop "<|eot_id|>"',
      template: '{{ .Prompt }}',
      details: this.#details(spec),
      model_info: { 'general.architecture': 'llama', 'llama.context_length': spec.contextLength ?? 131_072 },
      capabilities: spec.capabilities,
      modified_at: modifiedAt,
    };
  }

  #touch(loaded: Loaded): void {
    loaded.expiresAtMs = wallClockMs() + Math.min(loaded.keepAliveMs, forEverMs);
  }

  #head(spec: ModelSpec): { name: string; model: string; modified_at: string; size: number; digest: string } {
    return {
      name: spec.name,
      model: spec.name,
      modified_at: modifiedAt,
      size: spec.sizeBytes ?? 2_019_393_189,
      digest: createHash('sha256').update(spec.name).digest('hex'),
    };
  }

  #details(spec: ModelSpec): object {
    const family = /^[a-z]+/.exec(spec.name)?.[0] ?? 'llama';
    return {
      parent_model: '',
      format: 'gguf',
      family,
      families: [family],
      parameter_size: '3.2B',
      quantization_level: 'Q4_K_M',
    };
  }
}
