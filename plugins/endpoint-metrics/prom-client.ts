import { createRequire } from 'node:module';
import type * as Client from 'prom-client';

const require = createRequire(import.meta.url);
// The entry point loads four times as much, for clusters, gateways and summaries, which would slow down the start.
const part = <N extends keyof typeof Client>(name: N): (typeof Client)[N] =>
  require(`prom-client/lib/${name.toLowerCase()}`) as (typeof Client)[N];

/** A set of metrics. */
export const Registry = part('Registry');
/** A value that only rises. */
export const Counter = part('Counter');
/** A counter with labels `L`. */
export type Counter<L extends string> = Client.Counter<L>;
/** A value that rises and falls. */
export const Gauge = part('Gauge');
/** Counts of values by bucket. */
export const Histogram = part('Histogram');
/** A histogram with labels `L`. */
export type Histogram<L extends string> = Client.Histogram<L>;
