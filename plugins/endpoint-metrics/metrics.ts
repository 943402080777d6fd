import { httpStatus } from '#kernel';
import { Counter, Gauge, Histogram, Registry } from './prom-client.js';

type Failed = (error: unknown, metric: string) => void;
interface Labelled {
  get(): Promise<{ readonly values: readonly { readonly labels: Series }[] }>;
  remove(labels: Series): void;
}
type Series = Readonly<Partial<Record<string, string | number>>>;

/** The metrics of one plugin. None is global, so that kernels in the same process do not share them. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #failed: Failed;
  readonly #labelled: { readonly metric: Labelled; readonly labelNames: readonly string[] }[] = [];
  readonly #names = new Map<string, (value: string) => boolean>();

  /** `failed` is called for a value that cannot be read; the others are reported all the same. `labels`: of all series. */
  constructor(failed: Failed, labels?: Readonly<Record<string, string>>) {
    this.#failed = failed;
    if (labels) this.#registry.setDefaultLabels(labels);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in the text format of Prometheus. */
  async text(): Promise<string> {
    await this.#prune();
    return this.#registry.metrics();
  }

  /** Drops series whose `label` names something that no longer exists. */
  names(label: string, isThere: (value: string) => boolean): void {
    this.#names.set(label, isThere);
  }

  counter<L extends string = never>(name: string, help: string, ...labelNames: L[]): Counter<L> {
    return this.#keep(new Counter({ name, help, labelNames, registers: [this.#registry] }), labelNames);
  }

  /** A counter kept elsewhere; `read` returns its value at each scrape. */
  total(name: string, help: string, read: () => number): void {
    const registers = [this.#registry];
    const counter = new Counter({ name, help, registers, collect: () => this.#read(name, read, take) });
    const take = (value: number) => {
      counter.reset();
      counter.inc(value);
    };
  }

  /** A counter with labels that is kept elsewhere; `read` returns all series at each scrape. */
  totals<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: () => Iterable<readonly [labels: Readonly<Record<L, string>>, value: number]>,
  ): void {
    const registers = [this.#registry];
    const counter = new Counter<L>({
      ...{ name, help, labelNames, registers },
      collect: () => this.#read(name, () => [...read()], take),
    });
    const take = (values: readonly (readonly [Readonly<Record<L, string>>, number])[]) => {
      counter.reset();
      for (const [labels, value] of values) counter.inc(labels, value);
    };
  }

  /** A gauge; `read` returns its value at each scrape. */
  gauge(name: string, help: string, read: () => number): void {
    const registers = [this.#registry];
    const gauge = new Gauge({ name, help, registers, collect: () => this.#read(name, read, take) });
    const take = (value: number) => gauge.set(value);
  }

  /** A gauge with labels; `read` returns all series at each scrape. */
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

  /** Sets a value; one that cannot be read stays as it was. */
  #read<T>(metric: string, read: () => T, take: (value: T) => void): void {
    try {
      take(read());
    } catch (error) {
      this.#failed(error, metric);
    }
  }

  /** A histogram, with `buckets` in seconds. */
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
          // `le` is the bucket of a histogram, not a label of the metric.
          const { le: _, ...own } = labels;
          if (!isThere(String(own[label]))) metric.remove(own);
        }
      }
  }
}

/** Buckets from a millisecond to minutes. */
export const secondsBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** An error code as a label value: one of the catalogue, or `other`, so that the number of series is bounded. */
export function codeLabel(code: string): string {
  return Object.hasOwn(httpStatus, code) ? code : 'other';
}
