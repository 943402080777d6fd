import { z } from '#zod';

const name = z.string().min(1).max(128);

const toolName = z.string().regex(/^[A-Za-z\d_-]{1,64}$/, 'expected 1 to 64 characters of A-Z a-z 0-9 _ -');
const fields = z.record(z.string(), z.unknown());
const limits = { images: 64, tools: 128, stops: 16 } as const;

/** Fields of every request for an answer, over any endpoint; endpoints add their own names for the rest. */
export const chatFields = {
  content: z.string().min(1),
  images: z
    .array(
      z
        .string()
        .regex(
          /^(data:image\/[\w.+-]+;base64,[\w+/=]+|https?:\/\/\S+)$/,
          'expected an image as a base64 data URL, or an http(s) URL where the model server fetches it',
        ),
    )
    .max(limits.images)
    .describe('Pictures beside the text')
    .optional(),
  tools: z
    .array(
      z.object({
        name: toolName,
        description: z.string().optional(),
        parameters: fields.describe('A JSON Schema').optional(),
        strict: z.boolean().describe('Arguments must match `parameters`').optional(),
      }),
    )
    .max(limits.tools)
    .describe('Tools that the client runs')
    .optional(),
  agent: name.optional(),
  model: z.string().min(1).max(256).optional(),
  options: z
    .object({
      temperature: z.number().optional(),
      topP: z.number().optional(),
      maxTokens: z.int().min(1).optional(),
      seed: z.int().optional(),
      stop: z.array(z.string()).max(limits.stops).optional(),
      presencePenalty: z.number().optional(),
      frequencyPenalty: z.number().optional(),
      reasoningEffort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).optional(),
      format: z
        .union([z.literal('json'), fields])
        .describe('`json`, or a JSON Schema that the answer must match')
        .optional(),
      toolChoice: z
        .union([z.enum(['none', 'auto', 'required']), z.object({ name: toolName })])
        .describe('The `name` of the one tool to call, or one of these words')
        .optional(),
      parallelToolCalls: z.boolean().optional(),
      truncate: z
        .boolean()
        .describe(
          '`false`: a conversation beyond the context window is refused; else its oldest turns are left out',
        )
        .optional(),
      providerOptions: z
        .record(z.string(), fields)
        .describe('Options of one kind of model server, by its name: `{"ollama":{"keep_alive":"10m"}}`')
        .optional(),
    })
    .optional(),
} satisfies Readonly<Record<string, z.ZodType>>;

/** Results of the client's own tools, whose calls have ended the answer before. */
export const toolResults = z
  .array(
    z.object({
      id: z.string().min(1).max(256).describe('The `id` of the tool call'),
      output: z.unknown().describe('Any JSON').optional(),
      error: z.string().max(10_000).describe('Why there is none').optional(),
    }),
  )
  .min(1)
  .max(limits.tools)
  .describe('Results of tool calls that have ended the answer before, in the same conversation');

/** A call of a tool of the client, with which an answer ends. */
export const endingToolCall = z.object({
  id: z.string(),
  name: z.string(),
  arguments: z.string().describe('The JSON of the model, unchanged'),
});

/** Ids that clients choose: requests, conversations, users. */
export const clientChosenId = name;

/** The place of a turn in its conversation, where that is not the end. */
export const replacesField = z
  .int()
  .describe(
    'The number of a question of the conversation whose place this one takes; what was said from there on is kept as another version',
  );

/** The headers that put a request for an answer into a trace of its client. */
export const traceHeaders = z.object({
  traceparent: z.string().describe('W3C Trace Context: the trace to continue').optional(),
  tracestate: z.string().describe('W3C Trace Context: data of tracing systems').optional(),
  baggage: z.string().describe('W3C Baggage: data that travels with the request').optional(),
});

/** The client's place in a trace, in the words of its headers. */
export type TraceContext = Readonly<z.infer<typeof traceHeaders>>;
