import { z } from '#zod';

/** Cost of an answer in tokens. */
export const usage = z.object({
  inputTokens: z.number(),
  outputTokens: z.number(),
  cachedTokens: z.number().describe('Cached input tokens, if the model server reports them').exactOptional(),
  reasoningTokens: z
    .number()
    .describe('Output tokens of reasoning, if the model server reports them')
    .exactOptional(),
});

/** Tokens that an answer has cost. */
export type Usage = Readonly<z.infer<typeof usage>>;
