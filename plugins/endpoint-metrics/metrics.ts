import { httpStatus } from '#kernel';
import { Counter, Gauge, Histogram, Registry } from './prom-client.js';

type Failed = (error: unknown, metric: string) => void;
/** What is known of metrics with labels, whatever their kind. */
interface Labelled {
  get(): Promise<{ readonly values: readonly { readonly labels: Series }[] }>;
  remove(labels: Series): void;
}
type Series = Readonly<Partial<Record<string, string | number>>>;

/** The metrics of one plugin: none of them is global, so that several kernels of one process do not share any. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #failed: Failed;
  readonly #labelled: { readonly metric: Labelled; readonly labelNames: readonly string[] }[] = [];
  readonly #names = new Map<string, (value: string) => boolean>();

  /** `failed` hears of a figure that could not be read; the others are there all the same. */
  constructor(failed: Failed) {
    this.#failed = failed;
  }

  /** The media type of `text()`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All of them, in the text format of Prometheus. */
  async text(): Promise<string> {
    await this.#prune();
    return this.#registry.metrics();
  }

  /** Series whose `label` names something that is not there any more are gone. */
  names(label: string, isThere: (value: string) => boolean): void {
    this.#names.set(label, isThere);
  }

  counter<L extends string = never>(name: string, help: string, ...labelNames: L[]): Counter<L> {
    return this.#keep(new Counter({ name, help, labelNames, registers: [this.#registry] }), labelNames);
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
    const registers = [this.#registry];
    return this.#keep(new Histogram({ name, help, buckets, labelNames, registers }), labelNames);
  }

  #keep<M extends Labelled>(metric: M, labelNames: readonly string[]): M {
    this.#labelled.push({ metric, labelNames });
    return metric;
  }

  async #prune(): Promise<void> {
    for (const [label, isThere] of this.#names)
      for (const { metric, labelNames } of this.#labelled) {
        if (!labelNames.includes(label)) continue;
        for (const { labels } of (await metric.get()).values) {
          // The bucket of a histogram is no label of the metric.
          const { le: _, ...own } = labels;
          if (!isThere(String(own[label]))) metric.remove(own);
        }
      }
  }
}

/** Upper bounds for what takes from a millisecond to minutes. */
export const secondsBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** A code as the value of a label: one of the catalogue, or `other`, so that there are only so many. */
export function codeLabel(code: string): string {
  return Object.hasOwn(httpStatus, code) ? code : 'other';
}
