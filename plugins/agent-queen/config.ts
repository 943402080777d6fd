import { milliseconds, millisecondsOrNone } from '#sdk';
import { z } from '#zod';
import { isPattern } from './text-pattern.js';

const route = z.strictObject({
  /** Words, in any case; `/…/` is a regular expression in the syntax of RE2. */
  match: z.string().min(1).refine(isPattern, 'this is no regular expression of RE2'),
  /** The agent that answers. */
  agent: z.string().min(1),
});

export const config = z.strictObject({
  /** System prompt of every conversation; none when empty. */
  systemPrompt: z.string().default(''),
  /** Agents for requests that name none, the preferred one first. A list within it is a group, whose least busy agent is asked first; `*` stands for all others. */
  candidates: z
    .array(z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]))
    .min(1)
    .default(['ollama', 'eliza']),
  /** Tasks that the agents of requests without a name may use as tools; `orders:*` is a pattern. */
  tools: z.array(z.string().min(1)).default([]),
  /** Agents that the one that answers may consult and hand the conversation over to; `*` stands for all. */
  delegates: z.array(z.string().min(1)).default([]),
  /** Agents for requests whose text has certain words; the first route that fits counts. */
  routes: z.array(route).default([]),
  /** Rounds of tools in one answer. */
  maxSteps: z.int().min(1).max(100).default(8),
  /** Calls of tools in one answer. */
  maxToolCalls: z.int().min(1).max(1000).default(64),
  /** Tools that run at the same time for one agent. */
  toolsAtOnce: z.int().min(1).max(64).default(8),
  /** How long an answer waits for a client's result of its own tool. */
  toolTimeoutMs: milliseconds.default(120_000),
  /** How long an answer waits until a person allows a tool. */
  approvalTimeoutMs: milliseconds.default(240_000),
  /** Characters of a result that a model gets; a longer one is cut, and says so. */
  toolResultLimitChars: z.int().min(100).max(1_000_000).default(32_000),
  /** Number of latest messages of a conversation that an agent reads. */
  contextMessages: z.int().min(1).max(1000).default(100),
  /** Whether a summary stands for turns that no longer fit: their model makes it after an answer, with low priority. */
  summarise: z.boolean().default(false),
  /** Whether the model that gave the first answer of a conversation gives it a title, afterwards and with low priority. */
  titles: z.boolean().default(false),
  /** Characters of the pictures of one message that its conversation keeps; larger ones are kept as the word `[image]`. */
  keptImagesLimitChars: z.int().min(0).default(1_000_000),
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
