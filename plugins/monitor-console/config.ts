import { milliseconds } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** Interval of log lines, without the table. */
  intervalMs: milliseconds.default(10_000),
  /** Interval of table updates. */
  tableIntervalMs: milliseconds.default(1000),
  /** A live table instead of log lines; `auto` if standard output is a terminal. */
  table: z.enum(['auto', 'on', 'off']).default('auto'),
});

export type Config = z.infer<typeof config>;
