import { milliseconds, millisecondsOrNone } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** System prompt of every conversation; none when empty. */
  systemPrompt: z.string().default(''),
  /** Agents for requests that name none, the preferred one first. */
  candidates: z.array(z.string().min(1)).min(1).default(['ollama', 'eliza']),
  /** Number of latest messages of a conversation that an agent reads. */
  contextMessages: z.int().min(1).max(1000).default(100),
  /** Longest answer, in tokens, of users with a daily limit whose request sets none; it is reserved before the answer. */
  maxTokens: z.int().min(1).default(4096),
  /** How long a healthy candidate counts as healthy. */
  healthTtlMs: millisecondsOrNone.default(5000),
  /** How long a health check may take. */
  healthTimeoutMs: milliseconds.default(800),
  /** How long requests to a busy model server are retried. */
  busyTimeoutMs: millisecondsOrNone.default(120_000),
  /** Whether clients see the error texts of a model server's own faults. The log always has them. */
  tellFaults: z.boolean().default(true),
  /** How long answers may continue after their agent was unregistered. */
  unregisterGraceMs: milliseconds.default(3000),
});

export type Config = z.infer<typeof config>;
