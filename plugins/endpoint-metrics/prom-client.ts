import { createRequire } from 'node:module';
import type * as Client from 'prom-client';

const require = createRequire(import.meta.url);
// Its entry point loads four times as much, for clusters, gateways and summaries: no start has to wait for that.
const part = <N extends keyof typeof Client>(name: N): (typeof Client)[N] =>
  require(`prom-client/lib/${name.toLowerCase()}`) as (typeof Client)[N];

/** Holds metrics, and gives them as text. */
export const Registry = part('Registry');
/** Counts what happens. */
export const Counter = part('Counter');
/** One of them. */
export type Counter<L extends string> = Client.Counter<L>;
/** A value that rises and falls. */
export const Gauge = part('Gauge');
/** Counts values by size. */
export const Histogram = part('Histogram');
/** One of them. */
export type Histogram<L extends string> = Client.Histogram<L>;
