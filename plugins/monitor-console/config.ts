import { milliseconds } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** From one log line to the next, where there is no table. */
  intervalMs: milliseconds.default(10_000),
  /** From one state of the table to the next. */
  tableIntervalMs: milliseconds.default(1000),
  /** A live table in place of log lines; `auto` where standard output is a terminal. */
  table: z.enum(['auto', 'on', 'off']).default('auto'),
});

export type Config = z.infer<typeof config>;
