import { type RouteDocs, traceHeaders } from '#kernel';
import { runHeaders } from '#sdk/dialect';
import { z } from '#zod';
import { countBody, messageBody } from './body.js';
import { errorBody } from './errors.js';

const tokens = {
  input_tokens: z.int().describe('Without those from the cache; 0 if the agent reports none'),
  cache_creation_input_tokens: z.literal(0),
  cache_read_input_tokens: z.int(),
  output_tokens: z.int(),
  output_tokens_details: z.object({ thinking_tokens: z.int() }).nullable(),
  server_tool_use: z.null(),
};
const usage = z.object({
  ...tokens,
  cache_creation: z.null(),
  inference_geo: z.null(),
  service_tier: z.null(),
});

const block = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string(), citations: z.array(z.unknown()).max(0) }),
  z.object({
    type: z.literal('thinking'),
    thinking: z.string(),
    signature: z.string().describe('Nothing is signed: it is there because clients expect it'),
  }),
  z.looseObject({
    type: z.literal('tool_use'),
    id: z.string(),
    name: z.string(),
    input: z
      .record(z.string(), z.unknown())
      .describe('Arguments that are no JSON object come as `{"INVALID_JSON": text}`'),
    caller: z.object({ type: z.literal('direct') }),
  }),
]);

const stopReason = z.enum([
  ...(['end_turn', 'max_tokens', 'tool_use', 'stop_sequence', 'pause_turn', 'refusal'] as const),
]);
const ending = { stop_sequence: z.null(), stop_details: z.null(), container: z.null() };

const message = z.object({
  id: z.string(),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string(),
  content: z.array(block),
  stop_reason: stopReason.nullable().describe('Null only at the beginning of a stream'),
  ...ending,
  usage,
});

const delta = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text_delta'), text: z.string() }),
  z.object({ type: z.literal('thinking_delta'), thinking: z.string() }),
  z.object({ type: z.literal('signature_delta'), signature: z.string() }),
  z.object({ type: z.literal('input_json_delta'), partial_json: z.string() }),
]);
const index = z.int();
const event = z.discriminatedUnion('type', [
  z.object({ type: z.literal('message_start'), message }),
  z.object({ type: z.literal('content_block_start'), index, content_block: block }),
  z.object({ type: z.literal('content_block_delta'), index, delta }),
  z.object({ type: z.literal('content_block_stop'), index }),
  z.object({
    type: z.literal('message_delta'),
    delta: z.object({ stop_reason: stopReason, ...ending }),
    usage: z.object(tokens),
  }),
  z.object({ type: z.literal('message_stop') }),
  z.object({ type: z.literal('ping') }),
  errorBody,
]);

const failed = { 'application/json': errorBody };

/** `POST /v1/messages` */
export const messagesDocs: RouteDocs = {
  summary: "Create a message, as in Anthropic's API; `stream` sends events",
  headers: runHeaders.extend(traceHeaders.shape),
  body: messageBody,
  responses: {
    200: {
      description:
        'The answer. `X-Stream-Id` identifies its stream, which `/chat/stream/{stream_id}` resumes and cancels. An event ' +
        'stream ends with `message_stop`, or with `error`.',
      content: { 'application/json': message, 'text/event-stream': event },
    },
    429: { description: "The model server's rate limit", content: failed },
    529: { description: 'The server or the model server is full, or does not run', content: failed },
  },
  error: errorBody,
  errors: [
    'AGENT_UNKNOWN',
    'AGENT_DISCONNECTED',
    'AGENT_PROTOCOL',
    'CONTEXT_TOO_LONG',
    'IDEMPOTENCY_MISMATCH',
    'AGENT_TIMEOUT',
    'DEADLINE_EXCEEDED',
  ],
};

/** `POST /v1/messages/count_tokens` */
export const countDocs: RouteDocs = {
  summary: "Estimate the tokens of a message, as Anthropic's API counts them",
  body: countBody,
  responses: {
    200: {
      description: 'The estimate',
      content: { 'application/json': z.object({ input_tokens: z.int() }) },
    },
  },
  error: errorBody,
  errors: ['AGENT_UNKNOWN'],
};
