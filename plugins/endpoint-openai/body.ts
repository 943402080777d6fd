import { z } from 'zod';
import { jsonDepthLimit, parseJson } from '#kernel';

// Fields that are not named here are ignored: newer clients send more with each release.

const messagesLimit = 2048;
const partsLimit = 2048;
const callsLimit = 128;
const toolsLimit = 512;

const textPart = z.object({ type: z.literal('text'), text: z.string() });
const imagePart = z.object({
  type: z.literal('image_url'),
  image_url: z.object({
    url: z
      .string()
      .regex(
        /^data:image\/[\w.+-]+;base64,[\w+/=]+$/,
        'expected an image as a base64 data URL; none is fetched',
      ),
  }),
});

const toolCall = z.object({
  id: z.string().min(1),
  type: z.literal('function').nullish(),
  function: z.object({
    name: z.string().min(1),
    arguments: z.string().transform(readArguments),
  }),
});

const message = z
  .object({
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
    content: z
      .union([z.string(), z.array(z.discriminatedUnion('type', [textPart, imagePart])).max(partsLimit)])
      .nullish(),
    name: z.string().nullish(),
    tool_calls: z.array(toolCall).max(callsLimit).nullish(),
    tool_call_id: z.string().nullish(),
  })
  .refine(({ content, tool_calls: calls }) => content != null || (calls?.length ?? 0) > 0, {
    path: ['content'],
    message: 'expected text or a list of parts; only beside tool_calls there may be none',
  });

const tool = z.object({
  type: z.literal('function'),
  function: z.object({
    name: z.string().min(1),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
  }),
});

const effort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).nullish();

const common = {
  model: z.string().min(1).max(256).describe('An agent, or `agent/model`; `GET /v1/models` lists them'),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  seed: z.int().nullish(),
  presence_penalty: z.number().nullish(),
  frequency_penalty: z.number().nullish(),
  max_tokens: z.int().min(1).nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(16)]).nullish(),
  n: z.literal(1).nullish(),
  user: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
};

/** The body of `POST /v1/chat/completions`. */
export const chatBody = z.object({
  ...common,
  messages: z.array(message).min(1).max(messagesLimit),
  max_completion_tokens: z.int().min(1).nullish(),
  response_format: z
    .discriminatedUnion('type', [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_object') }),
      z.object({
        type: z.literal('json_schema'),
        json_schema: z.object({ schema: z.record(z.string(), z.unknown()).nullish() }),
      }),
    ])
    .nullish(),
  tools: z.array(tool).max(toolsLimit).nullish(),
  tool_choice: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
  reasoning_effort: effort,
  reasoning: z.object({ effort }).nullish(),
});

/** The body of `POST /v1/completions`. */
export const textBody = z.object({
  ...common,
  prompt: z.union([z.string().min(1), z.array(z.string().min(1)).length(1)]),
});

/** What a request asks of the endpoint beside its body. */
export const runHeaders = z.object({
  'X-Conversation-Id': z
    .string()
    .min(1)
    .max(128)
    .describe('The server remembers this conversation: send only what is new')
    .optional(),
  'Idempotency-Key': z
    .string()
    .min(1)
    .max(128)
    .describe('The same key again joins the run that it started')
    .optional(),
  'X-On-Disconnect': z
    .enum(['continue', 'cancel'])
    .describe('Whether the run goes on without its client; `continue` with an Idempotency-Key, else `cancel`')
    .optional(),
});

type Common = Pick<z.output<typeof chatBody>, keyof typeof common>;
/** A checked body of `POST /v1/chat/completions`. */
export type ChatBody = z.output<typeof chatBody>;
/** A checked body of `POST /v1/completions`. */
export type TextBody = z.output<typeof textBody>;
/** What both have. */
export type CommonBody = Common;

/** JSON inside JSON is no deeper than the body around it may be. */
function readArguments(text: string, { addIssue }: z.RefinementCtx): Readonly<Record<string, unknown>> {
  try {
    const value = parseJson(text.trim() || '{}');
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Readonly<Record<string, unknown>>;
  } catch {
    // It is answered in the same words.
  }
  addIssue(`expected a JSON object as text, at most ${jsonDepthLimit} levels deep`);
  return z.NEVER;
}
