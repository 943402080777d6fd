import { httpStatus } from '#kernel';
import { Counter, Gauge, Histogram, Registry } from './prom-client.js';

type Failed = (error: unknown, metric: string) => void;

/** The metrics of one plugin: none of them is global, so that several kernels of one process do not share any. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #failed: Failed;

  /** `failed` hears of a figure that could not be read; the others are there all the same. */
  constructor(failed: Failed) {
    this.#failed = failed;
  }

  /** The media type of `text()`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All of them, in the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  counter<L extends string = never>(name: string, help: string, ...labelNames: L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  /** A counter that somebody else keeps: `read` gives its value when it is asked for. */
  total(name: string, help: string, read: () => number): void {
    const registers = [this.#registry];
    const counter = new Counter({ name, help, registers, collect: () => this.#read(name, read, take) });
    const take = (value: number) => {
      counter.reset();
      counter.inc(value);
    };
  }

  /** `read` gives its value when it is asked for. */
  gauge(name: string, help: string, read: () => number): void {
    const registers = [this.#registry];
    const gauge = new Gauge({ name, help, registers, collect: () => this.#read(name, read, take) });
    const take = (value: number) => gauge.set(value);
  }

  /** One gauge for each of the labels that `read` gives; what it gives no more is gone. */
  gauges<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: () => Iterable<readonly [labels: Readonly<Record<L, string>>, value: number]>,
  ): void {
    const registers = [this.#registry];
    const gauge = new Gauge<L>({
      ...{ name, help, labelNames, registers },
      collect: () => this.#read(name, () => [...read()], take),
    });
    const take = (values: readonly (readonly [Readonly<Record<L, string>>, number])[]) => {
      gauge.reset();
      for (const [labels, value] of values) gauge.set(labels, value);
    };
  }

  /** A figure that cannot be read, or is none, stays as it was. */
  #read<T>(metric: string, read: () => T, take: (value: T) => void): void {
    try {
      take(read());
    } catch (error) {
      this.#failed(error, metric);
    }
  }

  /** `buckets` in seconds. */
  seconds<L extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    ...labelNames: L[]
  ): Histogram<L> {
    return new Histogram({ name, help, buckets, labelNames, registers: [this.#registry] });
  }
}

/** Upper bounds for what takes from a millisecond to minutes. */
export const secondsBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** A code as the value of a label: one of the catalogue, or `other`, so that there are only so many. */
export function codeLabel(code: string): string {
  return Object.hasOwn(httpStatus, code) ? code : 'other';
}
