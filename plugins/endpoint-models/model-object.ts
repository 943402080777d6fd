import type { Model } from '#sdk/dialect';
import { z } from '#zod';

const contextLength = z.number().describe('The context window in tokens, where it is known').exactOptional();

/** A model as clients of OpenAI's API and of Anthropic's read it: the fields of both, and what other servers add. */
export const model = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int().describe('Unix seconds'),
  owned_by: z.string(),
  type: z.literal('model'),
  display_name: z.string(),
  created_at: z.string().describe('The same time in RFC 3339'),
  capabilities: z
    .array(z.enum(['completion', 'tools', 'vision', 'thinking', 'embedding']))
    .describe('Where they are known; of an agent, those of its usual model')
    .exactOptional(),
  context_length: contextLength,
  max_model_len: contextLength.describe('The same, under the name that vLLM gives it'),
});

/** A list of models; there is one page. */
export const models = z.object({
  object: z.literal('list'),
  data: z.array(model),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
  has_more: z.literal(false),
});

export function modelObject({ id, createdAt, capabilities, contextLength }: Model): z.infer<typeof model> {
  return {
    id,
    object: 'model',
    created: Math.floor(createdAt / 1000),
    owned_by: 'waggle',
    type: 'model',
    display_name: id,
    created_at: new Date(createdAt).toISOString(),
    ...(capabilities && { capabilities: [...capabilities] }),
    ...(contextLength !== undefined && { context_length: contextLength, max_model_len: contextLength }),
  };
}

export function modelList(list: readonly Model[]): z.infer<typeof models> {
  return {
    object: 'list',
    data: list.map(modelObject),
    first_id: list[0]?.id ?? null,
    last_id: list.at(-1)?.id ?? null,
    has_more: false,
  };
}
