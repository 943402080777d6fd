import type { ChatStreams, TaskEngine, Undo } from '#kernel';
import { EventLoopLag, every } from '#sdk';

const maxSamples = 120;

/** What one second was like. */
export interface Sample {
  readonly tokensPerSecond: number;
  /** Replies under way. */
  readonly running: number;
  /** Replies and tasks that wait for their turn. */
  readonly waiting: number;
  /** How late the event loop was: of 100 times 99 were better. */
  readonly lagMs: number;
}

/** Where the figures come from; those of an absent source are 0. */
export interface Sources {
  readonly streams?: Pick<ChatStreams, 'stats'> | undefined;
  readonly tasks?: Pick<TaskEngine, 'stats'> | undefined;
}

/** Takes a sample each second while somebody looks, and costs nothing while nobody does. */
export class Sampler {
  readonly #sources: Sources;
  readonly #intervalMs: number;
  readonly #restMs: number;
  readonly #failed: (error: unknown) => void;
  readonly #eventLoop = new EventLoopLag();
  #samples: readonly Sample[] = [];
  #stopTimer: Undo | undefined;
  #stopEventLoop: Undo = () => {};
  #lookedAtMs = 0;
  #begun = { atMs: 0, tokens: 0 };

  /** After `restMs` without a look it rests. `failed` hears of a sample that could not be taken. */
  constructor(
    sources: Sources,
    failed: (error: unknown) => void,
    { intervalMs = 1000, restMs = 10_000 } = {},
  ) {
    this.#sources = sources;
    this.#failed = failed;
    this.#intervalMs = intervalMs;
    this.#restMs = restMs;
  }

  /** True while samples are taken. */
  get awake(): boolean {
    return this.#stopTimer !== undefined;
  }

  /** The samples so far, oldest first. Whoever looks keeps it awake. */
  look(): readonly Sample[] {
    this.#lookedAtMs = performance.now();
    if (!this.awake) this.#wake();
    return this.#samples;
  }

  /** Undone, it rests. */
  open(): Undo {
    return () => this.#rest();
  }

  #wake(): void {
    // What was before the pause would look as if it had just been.
    this.#samples = [];
    this.#begin();
    this.#stopEventLoop = this.#eventLoop.start();
    this.#stopTimer = every(this.#intervalMs, () => this.#tick(), this.#failed);
  }

  #rest(): void {
    void this.#stopTimer?.();
    this.#stopTimer = undefined;
    void this.#stopEventLoop();
  }

  #tick(): void {
    const { streams, tasks } = this.#sources;
    const seconds = (performance.now() - this.#begun.atMs) / 1000;
    const tokens = (streams?.stats.tokens ?? 0) - this.#begun.tokens;
    const sample = {
      tokensPerSecond: tenths(tokens / seconds),
      running: streams?.stats.running ?? 0,
      waiting: tasks?.stats.waiting ?? 0,
      lagMs: tenths(this.#eventLoop.lag.p99Ms),
    };
    this.#samples = [...this.#samples, sample].slice(-maxSamples);
    this.#begin();
    if (performance.now() - this.#lookedAtMs > this.#restMs) this.#rest();
  }

  #begin(): void {
    this.#begun = { atMs: performance.now(), tokens: this.#sources.streams?.stats.tokens ?? 0 };
    this.#eventLoop.reset();
  }
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
