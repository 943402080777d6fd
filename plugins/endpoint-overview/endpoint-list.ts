import type { Overview, Undo } from '#kernel';

/** Paths by name. */
export class EndpointList implements Overview {
  readonly #paths = new Map<string, string>();

  add(name: string, path: string): Undo {
    this.#paths.set(name, path);
    return () => {
      if (this.#paths.get(name) === path) this.#paths.delete(name);
    };
  }

  /** All of them as seen from outside. */
  below(basePath: string): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#paths].map(([name, path]) => [name, basePath + path]));
  }
}
