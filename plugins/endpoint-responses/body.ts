import { integer, most, number } from '#sdk/dialect';
import { z } from '#zod';
import { input } from './items.js';

const fields = z.record(z.string(), z.unknown());
const mostTools = 512;

/** A tool; of hosted tools, which are not offered here, only the type is read. */
const tool = z.looseObject({
  type: z.string().min(1),
  name: z.string().min(1).optional(),
  description: z.string().nullish(),
  parameters: fields.nullish(),
  strict: z.boolean().nullish(),
});

export type Tool = z.output<typeof tool>;

const namedTool = z.looseObject({ type: z.string(), name: z.string().min(1) });
const allowedTools = z.looseObject({
  type: z.literal('allowed_tools'),
  mode: z.enum(['auto', 'required', 'none']).default('auto'),
  tools: z.array(z.looseObject({ type: z.string(), name: z.string().optional() })).max(mostTools),
});
const hostedTool = z.looseObject({ type: z.string() });

const format = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text') }),
  z.looseObject({ type: z.literal('json_object') }),
  z.looseObject({
    type: z.literal('json_schema'),
    name: z.string().nullish(),
    description: z.string().nullish(),
    schema: fields.nullish(),
    strict: z.boolean().nullish(),
  }),
]);

const effort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']);
const responseId = z.string().min(1).max(256);

/** The body of `POST /v1/responses`, and of a `response.create` frame. Unknown fields are named in a warning. */
export const responseBody = z.looseObject({
  model: z.string().min(1).max(256).describe('An agent, or `agent/model`, as listed by `GET /v1/models`'),
  input: input.nullish(),
  instructions: z.string().nullish(),
  previous_response_id: responseId.nullish(),
  conversation: z
    .union([responseId, z.looseObject({ id: responseId })])
    .nullish()
    .describe('A conversation that the server remembers: send only the new items'),
  tools: z.array(tool).max(mostTools).nullish(),
  tool_choice: z.union([z.enum(['none', 'auto', 'required']), allowedTools, namedTool, hostedTool]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  max_tool_calls: integer.nullish(),
  text: z.looseObject({ format: format.nullish(), verbosity: z.string().nullish() }).nullish(),
  reasoning: z
    .looseObject({
      effort: effort.nullish(),
      summary: z.enum(['auto', 'concise', 'detailed', 'none']).nullish(),
      generate_summary: z.enum(['auto', 'concise', 'detailed']).nullish(),
    })
    .nullish(),
  max_output_tokens: most.nullish(),
  temperature: number.nullish(),
  top_p: number.nullish(),
  presence_penalty: number.nullish(),
  frequency_penalty: number.nullish(),
  top_logprobs: integer.nullish(),
  truncation: z.enum(['auto', 'disabled']).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  include: z.array(z.string()).max(64).nullish(),
  store: z.boolean().nullish(),
  background: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: fields.nullish(),
  service_tier: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.string().nullish(),
  user: z.string().nullish(),
});

export type ResponseBody = z.output<typeof responseBody>;

/** The body of `POST /v1/responses/compact`. */
export const compactBody = z.looseObject({
  model: responseBody.shape.model,
  input: input.nullish(),
  instructions: z.string().nullish(),
  previous_response_id: responseId.nullish(),
  user: responseBody.shape.user,
});
