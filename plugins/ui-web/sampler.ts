import type { Undo } from '#kernel';
import { EventLoopLag, every, RateMeter, type RateSources, tenths } from '#sdk';
import type { Sample } from './docs.js';

const maxSamples = 120;

/** Samples the load once a second while the samples are read, and rests otherwise. */
export class Sampler {
  readonly #sources: RateSources;
  readonly #intervalMs: number;
  readonly #restMs: number;
  readonly #failed: (error: unknown) => void;
  readonly #eventLoop = new EventLoopLag();
  readonly #meter: RateMeter;
  #samples: readonly Sample[] = [];
  #stopTimer: Undo | undefined;
  #stopEventLoop: Undo = () => {};
  #lookedAtMs = 0;

  /** Rests after `restMs` without a read. `failed` is called when a sample cannot be taken. */
  constructor(
    sources: RateSources,
    failed: (error: unknown) => void,
    { intervalMs = 1000, restMs = 10_000 } = {},
  ) {
    this.#sources = sources;
    this.#meter = new RateMeter(sources, this.#eventLoop);
    this.#failed = failed;
    this.#intervalMs = intervalMs;
    this.#restMs = restMs;
  }

  /** True while samples are taken. */
  get awake(): boolean {
    return this.#stopTimer !== undefined;
  }

  /** Samples so far, oldest first. Reading them keeps the sampler awake. */
  look(): readonly Sample[] {
    this.#lookedAtMs = performance.now();
    if (!this.awake) this.#wake();
    return this.#samples;
  }

  /** Undone, the sampler stops. */
  open(): Undo {
    return () => this.#rest();
  }

  #wake(): void {
    // Samples from before the pause would look recent.
    this.#samples = [];
    this.#meter.restart();
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
    const { tokensPerSecond, lag } = this.#meter.rates;
    const { running = 0 } = streams?.stats ?? {};
    const { waiting = 0 } = tasks?.stats ?? {};
    const sample = { tokensPerSecond, running, waiting, lagMs: tenths(lag.p99Ms) };
    this.#samples = [...this.#samples, sample].slice(-maxSamples);
    this.#meter.restart();
    if (performance.now() - this.#lookedAtMs > this.#restMs) this.#rest();
  }
}
