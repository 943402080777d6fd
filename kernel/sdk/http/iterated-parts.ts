import type { ReadableListener } from '../../contracts/readable.js';
import type { BodyParts } from '../../contracts/transport.js';

/** Body parts from an async iterable: pulls the next one once the previous one was taken. */
export class IteratedParts implements BodyParts {
  readonly #iterator: AsyncIterator<string>;
  #listener: ReadableListener | undefined;
  #part = '';
  #isPulling = false;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(parts: AsyncIterable<string>) {
    this.#iterator = parts[Symbol.asyncIterator]();
  }

  take(): string | undefined {
    if (this.#failure) throw this.#failure.error;
    const part = this.#part;
    this.#part = '';
    if (part !== '') return part;
    if (this.#ended) return undefined;
    if (!this.#isPulling) void this.#pull();
    return '';
  }

  onReadable(listener: ReadableListener): void {
    this.#listener = listener;
  }

  async return(): Promise<void> {
    await this.#iterator.return?.();
  }

  async #pull(): Promise<void> {
    this.#isPulling = true;
    try {
      while (this.#part === '' && !this.#ended) {
        const next = await this.#iterator.next();
        if (next.done) this.#ended = true;
        else this.#part = next.value;
      }
    } catch (error) {
      this.#failure = { error };
    }
    this.#isPulling = false;
    this.#listener?.readable();
  }
}
