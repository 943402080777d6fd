import type { Embedded } from '#sdk/dialect';
import { z } from '#zod';

/** The answer of `POST /v1/embeddings`. */
export const embeddingList = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: z.int(),
      embedding: z
        .union([z.array(z.number()), z.string()])
        .describe('Numbers, or with `base64` the bytes of little-endian 32-bit floats'),
    }),
  ),
  model: z.string(),
  usage: z
    .object({ prompt_tokens: z.number(), total_tokens: z.number() })
    .describe('Absent if the agent does not report it')
    .exactOptional(),
});

export function listOf(
  { embeddings, model, usage }: Embedded,
  encoding: 'float' | 'base64',
): z.infer<typeof embeddingList> {
  return {
    object: 'list',
    data: embeddings.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: encoding === 'base64' ? base64Of(vector) : (vector as number[]),
    })),
    model,
    ...(usage && { usage: { prompt_tokens: usage.inputTokens, total_tokens: usage.inputTokens } }),
  };
}

function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.allocUnsafe(vector.length * 4);
  // A loop: there may be millions of numbers.
  for (let at = 0; at < vector.length; at++) bytes.writeFloatLE(vector[at] as number, at * 4);
  return bytes.toString('base64');
}
