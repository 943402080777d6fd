import type { TaskDefinition } from '#kernel';
import { hashOf } from '#sdk/redis';
import { Line, type LineOptions } from './line.js';

/** The lines of a node: one for each lane, and one for each task with limits of its own. */
export class Lines {
  readonly #options: LineOptions;
  readonly #lines = new Map<string, Line>();

  constructor(options: LineOptions) {
    this.#options = options;
  }

  of({ name, lane, concurrency, maxQueued }: TaskDefinition): Line {
    const isOwn = concurrency !== undefined || maxQueued !== undefined;
    return this.open(isOwn ? `t-${hashOf(name)}` : lane);
  }

  open(name: string): Line {
    let line = this.#lines.get(name);
    if (!line) {
      line = new Line(name, this.#options);
      this.#lines.set(name, line);
    }
    return line;
  }

  /** The line of an id, which a client may have made up: it is not kept. */
  ofRun(id: string): Line | undefined {
    const name = /^[\w-]{24}\.(main|worker|t-[\w-]{22})$/.exec(id)?.[1];
    if (name === undefined) return undefined;
    return this.#lines.get(name) ?? new Line(name, this.#options);
  }
}
