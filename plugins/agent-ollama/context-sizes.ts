import type { ContextWindow } from '#kernel';

/** Ollama's own `num_ctx` where nothing else is set; more on larger machines. */
const defaultTokens = 4096;
const modelLimit = 1000;

/**
 * The `num_ctx` that is requested of each model. Ollama cuts a longer prompt without a word, and loads the model again for each
 * other value. So nothing is requested while Ollama's own value is enough; after that the one with which the model is loaded
 * if that is enough, else the next power of two. It never shrinks.
 */
export class ContextSizes {
  readonly #maxTokens: number;
  /** By model, as requested. */
  readonly #sizes = new Map<string, number>();
  /** By model, as it was loaded when that was asked for. */
  readonly #loaded = new Map<string, number>();

  /** `maxTokens`: the largest that is requested of a model that is not loaded with more. */
  constructor(maxTokens: number) {
    this.#maxTokens = maxTokens;
  }

  /** The value to request for a model; undefined for Ollama's own. */
  sizeOf(name: string): number | undefined {
    return this.#sizes.get(fullName(name));
  }

  /** Notes with how many tokens a model is loaded, for any client; 0 if it is not. */
  loaded(name: string, tokens: number): void {
    keep(this.#loaded, fullName(name), tokens);
  }

  /**
   * The window for a request of so many tokens. It grows up to `largest`, that of the model. Undefined where it has to grow and
   * nothing is known of how the model is loaded.
   */
  windowFor(name: string, tokens: number, largest: number): ContextWindow | undefined {
    const model = fullName(name);
    const size = this.#sizes.get(model);
    const now = size ?? Math.min(defaultTokens, largest);
    if (tokens <= now || now === largest)
      return { tokens: now, ...(size === undefined ? { isLeast: true } : { slides: true }) };
    const loaded = this.#loaded.get(model);
    if (loaded === undefined) return undefined;
    const limit = Math.max(now, Math.min(largest, Math.max(this.#maxTokens, loaded)));
    const needed = loaded >= tokens ? loaded : 2 ** Math.ceil(Math.log2(tokens));
    const grown = Math.min(limit, needed);
    if (grown > now) keep(this.#sizes, model, grown);
    return { tokens: grown, slides: true };
  }
}

/** Ollama's own name for a model without a tag. */
export function fullName(model: string): string {
  return model.includes(':') ? model : `${model}:latest`;
}

function keep(sizes: Map<string, number>, model: string, tokens: number): void {
  if (sizes.size >= modelLimit && !sizes.has(model)) sizes.clear();
  sizes.set(model, tokens);
}
