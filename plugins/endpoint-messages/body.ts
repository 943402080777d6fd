import { most, number } from '#sdk/dialect';
import { z } from '#zod';
import { content, system } from './blocks.js';

// Every list is bounded, and its length is checked before its items: reporting errors costs more than valid input.
const limits = { messages: 4096, tools: 1024, stops: 128 } as const;

const fields = z.record(z.string(), z.unknown());

const tool = z.union([
  z.looseObject({
    type: z.literal('custom').nullish(),
    name: z.string().min(1),
    description: z.string().nullish(),
    input_schema: fields.nullish(),
    strict: z.boolean().nullish(),
  }),
  z
    .looseObject({ type: z.string().regex(/^(?!custom$)/, 'expected a name beside it') })
    .describe(
      'A tool of Anthropic, as `web_search_20250305`; it is left out, with a note in `x-waggle-warning`',
    ),
]);

const choice = { disable_parallel_tool_use: z.boolean().nullish() };
const toolChoice = z.discriminatedUnion('type', [
  z.looseObject({ ...choice, type: z.enum(['auto', 'any', 'none']) }),
  z.looseObject({ ...choice, type: z.literal('tool'), name: z.string().min(1) }),
]);

const display = z.string().nullish().describe('With `omitted`, blocks of thinking are empty');
const thinking = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('enabled'),
    budget_tokens: z
      .int()
      .min(1)
      .nullish()
      .describe('Up to 4095 a low effort, up to 16383 a medium one, else a high one'),
    display,
  }),
  z.looseObject({ type: z.literal('adaptive'), display }),
  z.looseObject({ type: z.literal('disabled') }),
]);

const format = z.looseObject({ type: z.literal('json_schema'), schema: fields }).nullish();

const asked = {
  model: z.string().min(1).max(256).describe('An agent, or `agent/model`, as listed by `GET /v1/models`'),
  system: system.nullish(),
  messages: z
    .array(z.looseObject({ role: z.enum(['user', 'assistant', 'system']), content }))
    .min(1)
    .max(limits.messages),
  tools: z.array(tool).max(limits.tools).nullish(),
  tool_choice: toolChoice.nullish(),
  thinking: thinking.nullish(),
  output_config: z
    .looseObject({ effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(), format })
    .nullish(),
  output_format: format.describe('Former name of `output_config.format`'),
  cache_control: z.unknown().optional().describe('Accepted here and in blocks and tools, and ignored'),
};

/** The body of `POST /v1/messages/count_tokens`. */
export const countBody = z.looseObject(asked);

/** The body of `POST /v1/messages`. */
export const messageBody = z.looseObject({
  ...asked,
  max_tokens: most,
  stream: z.boolean().nullish(),
  stop_sequences: z.array(z.string()).max(limits.stops).nullish(),
  temperature: number.nullish(),
  top_p: number.nullish(),
  top_k: number.nullish(),
  metadata: z
    .looseObject({ user_id: z.string().nullish().describe('The user, in a server without access control') })
    .nullish(),
});

export type CountBody = z.output<typeof countBody>;
export type MessageBody = z.output<typeof messageBody>;
