import type { Cluster } from '#kernel';
import type { Line } from './line.js';
import { topics } from './run-news.js';

const hintMs = 20;

/** Hints to other nodes, which may have free places, that jobs wait in a line. */
export class Hints {
  readonly #cluster: Cluster;
  readonly #lines = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  add({ name }: Line): void {
    this.#lines.add(name);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const line of this.#lines) void this.#cluster.broadcast(topics.waits, line);
      this.#lines.clear();
    }, hintMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
