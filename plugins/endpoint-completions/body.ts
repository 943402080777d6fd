import { integer, most, number, part, textOr } from '#sdk/dialect';
import { z } from '#zod';

// Every list is bounded, and its length is checked before its items: reporting errors costs more than valid input.
const limits = { messages: 2048, parts: 1024, toolCalls: 128, tools: 256, stops: 16 } as const;

// Unknown fields are passed on to the model server unchanged: new client releases add fields.

const fields = z.record(z.string(), z.unknown());
const called = z.looseObject({
  name: z.string().min(1),
  arguments: z.string().describe('The arguments as the model wrote them, valid JSON or not'),
});
// Other fields are returned to the model server that sent them.
const toolCall = z.looseObject({
  id: z.string().min(1),
  type: z.literal('function').nullish(),
  function: called,
});

const anyone = {
  content: textOr(part, limits.parts),
  name: z.string().nullish(),
};
const nothing = anyone.content.nullish();

const message = z.discriminatedUnion('role', [
  z.looseObject({ role: z.enum(['system', 'developer', 'user']), ...anyone }),
  z.looseObject({
    ...anyone,
    role: z.literal('assistant'),
    content: nothing,
    tool_calls: z.array(toolCall).max(limits.toolCalls).nullish(),
    function_call: called.nullish().describe('Deprecated form of `tool_calls`'),
    reasoning_content: z
      .string()
      .nullish()
      .describe('Reasoning of the model, for servers that expect it back'),
    reasoning: z.unknown().optional().describe('The same, if it is text'),
    refusal: z.string().nullish(),
  }),
  z.looseObject({
    ...anyone,
    role: z.enum(['tool', 'function']),
    content: nothing,
    tool_call_id: z.string().nullish(),
  }),
]);

const definition = z.looseObject({
  name: z.string().min(1),
  description: z.string().nullish(),
  parameters: fields.nullish(),
  strict: z.boolean().nullish(),
});
const tool = z.union([
  z.looseObject({ type: z.literal('function').nullish(), function: definition }),
  z
    .looseObject({ type: z.string().regex(/^(?!function$)/, 'expected a function beside it') })
    .describe('A tool of another type; it is left out, with a note in `x-waggle-warning`'),
]);

const effort = z
  .enum(['', 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])
  .nullish()
  .transform((value) => value || undefined);

const common = {
  model: z.string().min(1).max(256).describe('An agent, or `agent/model`, as listed by `GET /v1/models`'),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: number.nullish(),
  top_p: number.nullish(),
  seed: integer.nullish(),
  presence_penalty: number.nullish(),
  frequency_penalty: number.nullish(),
  max_tokens: most.nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(limits.stops)]).nullish(),
  n: z.union([z.literal(1), z.literal('1')]).nullish(),
  user: z.union([z.string(), fields]).nullish(),
  metadata: fields.nullish(),
};

const namedTool = z.looseObject({
  type: z.enum(['function', 'tool']).nullish(),
  function: z.looseObject({ name: z.string().min(1) }),
});
const flatTool = z.looseObject({ type: z.enum(['function', 'tool']).nullish(), name: z.string().min(1) });
const allowedTools = z.looseObject({
  type: z.literal('allowed_tools'),
  allowed_tools: z.looseObject({
    mode: z.enum(['auto', 'required']),
    tools: z.array(fields).max(limits.tools),
  }),
});
const toolChoice = z.union(
  [
    z.enum(['', 'none', 'auto', 'required', 'any']),
    z.union([namedTool, flatTool, allowedTools], 'expected none, auto, required, or a tool by its name'),
  ],
  'expected none, auto, required, or a tool by its name',
);

/** The body of `POST /v1/chat/completions`. */
export const chatBody = z.looseObject({
  ...common,
  messages: z.array(message).min(1).max(limits.messages),
  max_completion_tokens: most.nullish(),
  response_format: z
    .discriminatedUnion('type', [
      z.looseObject({ type: z.literal('text') }),
      z.looseObject({ type: z.literal('json_object'), schema: fields.nullish() }),
      z.looseObject({
        type: z.literal('json_schema'),
        json_schema: z.looseObject({
          name: z.string().nullish(),
          description: z.string().nullish(),
          schema: fields.nullish(),
          strict: z.boolean().nullish(),
        }),
      }),
    ])
    .nullish(),
  tools: z.array(tool).max(limits.tools).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  functions: z.array(definition).max(limits.tools).nullish().describe('Deprecated form of `tools`'),
  function_call: z
    .union([z.enum(['none', 'auto']), z.looseObject({ name: z.string().min(1) })])
    .nullish()
    .describe('Deprecated form of `tool_choice`'),
  truncation: z
    .enum(['auto', 'disabled'])
    .nullish()
    .describe(
      'As in the Responses API: whether the oldest turns are left out of messages beyond the context window (`auto`, the default), or refused',
    ),
  reasoning_effort: effort,
  reasoning: z.looseObject({ effort }).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: integer.nullish(),
});

const onePrompt = 'expected one text, or a list with one text: several prompts and tokens are not taken';

/** The body of `POST /v1/completions`. */
export const textBody = z.looseObject({
  ...common,
  prompt: z.union(
    [z.string().min(1, onePrompt), z.array(z.string().min(1, onePrompt)).length(1, onePrompt)],
    onePrompt,
  ),
  echo: z.literal(false).nullish(),
  best_of: z.literal(1).nullish(),
  suffix: z.literal('').nullish(),
  logprobs: z.literal(0).nullish(),
});

export type ChatBody = z.output<typeof chatBody>;
export type TextBody = z.output<typeof textBody>;
/** Fields of both bodies. */
export type CommonBody = Pick<ChatBody, keyof typeof common>;
