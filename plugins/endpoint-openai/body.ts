import { z } from '#zod';

// Each list has a limit, which is looked at before what is in it: a mistake costs more than what is right.
const most = { messages: 2048, parts: 1024, toolCalls: 128, tools: 256, stops: 16 } as const;

// Fields that are not named here are ignored: newer clients send more with each release.

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

// What else it has goes back to the model server that gave it.
const toolCall = z.looseObject({
  id: z.string().min(1),
  type: z.literal('function').nullish(),
  function: z.object({
    name: z.string().min(1),
    arguments: z.string().describe('As the model wrote them, be they JSON or not'),
  }),
});

const message = z
  .object({
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
    content: z
      .union([z.string(), z.array(z.discriminatedUnion('type', [textPart, imagePart])).max(most.parts)])
      .nullish(),
    name: z.string().nullish(),
    tool_calls: z.array(toolCall).max(most.toolCalls).nullish(),
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
  stop: z.union([z.string(), z.array(z.string()).max(most.stops)]).nullish(),
  n: z.literal(1).nullish(),
  user: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
};

/** The body of `POST /v1/chat/completions`. */
export const chatBody = z.object({
  ...common,
  messages: z.array(message).min(1).max(most.messages),
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
  tools: z.array(tool).max(most.tools).nullish(),
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
    .describe(
      'The same key of the same `user` joins the run that it started; with another request it is refused',
    )
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
