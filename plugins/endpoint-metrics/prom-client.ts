import { createRequire } from 'node:module';
import type * as Client from 'prom-client';

const require = createRequire(import.meta.url);
// The entry point loads four times as much, for clusters, gateways and summaries, which would slow down the start.
const part = <N extends keyof typeof Client>(name: N): (typeof Client)[N] =>
  require(`prom-client/lib/${name.toLowerCase()}`) as (typeof Client)[N];

export const Registry = part('Registry');
export const Counter = part('Counter');
export type Counter<L extends string> = Client.Counter<L>;
export const Gauge = part('Gauge');
export const Histogram = part('Histogram');
export type Histogram<L extends string> = Client.Histogram<L>;
