import { z } from '#zod';

/** What an answer has cost. */
export const usage = z.object({
  inputTokens: z.number(),
  outputTokens: z.number(),
  cachedTokens: z
    .number()
    .describe('Of the input, those that it knew already; where it says so')
    .exactOptional(),
  reasoningTokens: z
    .number()
    .describe('Of the output, those of its thinking; where it says so')
    .exactOptional(),
});

/** Tokens that an answer has cost. */
export type Usage = Readonly<z.infer<typeof usage>>;
