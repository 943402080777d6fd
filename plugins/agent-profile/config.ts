import { z } from '#zod';

export const config = z.strictObject({
  /** The agent that answers in its name, such as `ollama`. */
  agent: z.string().min(1),
  /** Its own name; that of the plugin without `agent-` when absent. */
  name: z.string().min(1).max(128).optional(),
  /** The model for requests without one; that of the agent when absent. */
  model: z.string().min(1).optional(),
  /** Its abilities: for people, and for agents that may ask it. */
  description: z.string().min(1).optional(),
  /** Comes before each conversation; none when empty. */
  systemPrompt: z.string().default(''),
  /** Tasks that it may use as tools; `orders:*` is a pattern. */
  tools: z.array(z.string().min(1)).default([]),
  /** Options of each request, where the request itself sets no others. */
  options: z
    .strictObject({
      temperature: z.number().optional(),
      topP: z.number().optional(),
      maxTokens: z.int().min(1).optional(),
      seed: z.int().optional(),
      stop: z.array(z.string()).optional(),
      reasoningEffort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).optional(),
    })
    .default({}),
});

export type Config = z.infer<typeof config>;
