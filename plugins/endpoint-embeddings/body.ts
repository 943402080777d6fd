import { embedInputLimit, WaggleError } from '#kernel';
import { z } from '#zod';

const positive = z.int().min(1);
const texts = `expected 1 to ${embedInputLimit} texts`;

/** The body of `POST /v1/embeddings`. Unknown fields are passed on to the model server unchanged. */
export const embeddingsBody = z.looseObject({
  model: z.string().min(1).max(256).describe('An agent, or `agent/model`, as listed by `GET /v1/models`'),
  input: z.union([z.string(), z.array(z.string()).min(1, texts).max(embedInputLimit, texts)]),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: positive.nullish(),
  user: z.string().nullish(),
});

/** The same after the check. */
export type EmbeddingsBody = z.output<typeof embeddingsBody>;

/** Refuses tokens with one sentence: which tokenizer made them is not known here. @throws INVALID_REQUEST */
export function checkNoTokens(body: unknown): void {
  const { input } = (body ?? {}) as { readonly input?: unknown };
  const [first] = Array.isArray(input) ? input : [];
  const isTokens = typeof first === 'number' || (Array.isArray(first) && typeof first[0] === 'number');
  if (!isTokens) return;
  const what = 'expected texts, not tokens (in LangChain: check_embedding_ctx_length=False)';
  throw new WaggleError('INVALID_REQUEST', { issues: [`input: ${what}`] });
}
