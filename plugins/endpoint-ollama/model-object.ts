import { createHash } from 'node:crypto';
import type { ModelCapability } from '#kernel';
import type { Model } from '#sdk/dialect';
import { z } from '#zod';

/** The version of Ollama whose API this is: clients refuse versions that are too old for them. */
export const apiVersion = '0.18.0';

const details = z.object({
  parent_model: z.string(),
  format: z.string(),
  family: z.string(),
  families: z.array(z.string()),
  parameter_size: z.string(),
  quantization_level: z.string(),
  context_length: z.number().exactOptional(),
});
const capabilities = z
  .array(z.enum(['completion', 'tools', 'vision', 'thinking', 'embedding']))
  .describe('Where they are not known: `completion` and `tools`, which are then tried');

/** The answer of `GET /api/tags`. */
export const tags = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      model: z.string(),
      modified_at: z.string(),
      size: z.literal(0).describe('Unknown'),
      digest: z.string().describe('Of the name'),
      details,
      capabilities,
    }),
  ),
});

/** The answer of `POST /api/show`. */
export const shown = z.object({
  details,
  model_info: z.record(z.string(), z.unknown()).describe('`waggle.context_length`, where it is known'),
  capabilities,
  modified_at: z.string(),
});

/** The answer of `GET /api/ps`. */
export const running = z.object({ models: z.array(z.never()).describe('Nothing is loaded here') });

/** The answer of `GET /api/version`. */
export const versions = z.object({ version: z.string(), waggle: z.string().describe('Version of Waggle') });

export function tagsOf(list: readonly Model[]): z.infer<typeof tags> {
  return {
    models: list.map((model) => ({
      name: model.id,
      model: model.id,
      modified_at: modifiedAt(model),
      size: 0,
      digest: createHash('sha256').update(model.id).digest('hex'),
      details: detailsOf(model),
      capabilities: capabilitiesOf(model),
    })),
  };
}

export function shownOf(model: Model): z.infer<typeof shown> {
  const { id, contextLength } = model;
  return {
    details: detailsOf(model),
    model_info: {
      'general.architecture': 'waggle',
      'general.basename': id,
      ...(contextLength !== undefined && { 'waggle.context_length': contextLength }),
    },
    capabilities: capabilitiesOf(model),
    modified_at: modifiedAt(model),
  };
}

function modifiedAt({ createdAt }: Model): string {
  return new Date(createdAt).toISOString();
}

function detailsOf({ contextLength }: Model): z.infer<typeof details> {
  return {
    parent_model: '',
    format: '',
    family: 'waggle',
    families: ['waggle'],
    parameter_size: '',
    quantization_level: '',
    ...(contextLength !== undefined && { context_length: contextLength }),
  };
}

/** Clients take a model with `embedding` for one that cannot chat. */
function capabilitiesOf({ capabilities }: Model): ModelCapability[] {
  if (!capabilities) return ['completion', 'tools'];
  const chats = capabilities.includes('completion');
  return capabilities.filter((each) => each !== 'embedding' || !chats);
}
