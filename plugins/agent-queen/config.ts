import { milliseconds, millisecondsOrNone } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** What every conversation begins with; nothing when empty. */
  systemPrompt: z.string().default(''),
  /** Who may answer when a request names nobody, the preferred one first. */
  candidates: z.array(z.string().min(1)).min(1).default(['ollama', 'eliza']),
  /** How many of a conversation's latest messages an agent gets to read. */
  contextMessages: z.int().min(1).max(1000).default(100),
  /** How long a candidate that was healthy is taken to be so. */
  healthTtlMs: millisecondsOrNone.default(5000),
  /** How long a health check may take. */
  healthTimeoutMs: milliseconds.default(800),
  /** How long an agent whose model server is full is asked again. */
  busyTimeoutMs: millisecondsOrNone.default(120_000),
  /** Whether clients read what a model server says of its own faults. The log always has it. */
  tellFaults: z.boolean().default(true),
  /** How long answers may go on when their agent is unregistered. */
  unregisterGraceMs: milliseconds.default(3000),
});

export type Config = z.infer<typeof config>;
