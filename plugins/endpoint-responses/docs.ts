import { closeCode, type EndpointDocs, type RouteDocs, traceHeaders } from '#kernel';
import { answerErrors, openAiErrorBody as error, runHeaders } from '#sdk/dialect';
import { z } from '#zod';
import { compactBody, responseBody } from './body.js';
import { ownFrames } from './frames.js';
import { itemsQuery, retrieveQuery } from './queries.js';

const responseId = z.object({ response_id: z.string() });
const usage = z.object({
  input_tokens: z.number(),
  input_tokens_details: z.object({ cached_tokens: z.number() }),
  output_tokens: z.number(),
  output_tokens_details: z.object({ reasoning_tokens: z.number() }),
  total_tokens: z.number(),
});
const failure = z.object({ code: z.string(), message: z.string() });

const response = z
  .looseObject({
    id: z.string().describe('`resp_` and the id of its stream'),
    object: z.literal('response'),
    created_at: z.int().describe('Unix seconds'),
    completed_at: z.int().nullable(),
    status: z.enum(['queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled']),
    model: z.string(),
    output: z.array(z.looseObject({ type: z.string(), id: z.string() })),
    error: failure.nullable(),
    incomplete_details: z.object({ reason: z.enum(['max_output_tokens', 'content_filter']) }).nullable(),
    previous_response_id: z.string().nullable(),
    usage: usage.nullable(),
  })
  .describe("A response, with all fields of OpenAI's API");

const event = z
  .looseObject({
    type: z.string(),
    sequence_number: z.int().describe('Counts the events of one response from 0'),
  })
  .describe("An event of OpenAI's API, or `error`");

const done = z.literal('[DONE]');

const events = {
  description:
    'The response. An event stream ends with `[DONE]`, also after a failure; `X-Stream-Id` identifies the stream.',
  content: { 'application/json': response, 'text/event-stream': z.union([event, done]) },
};

const failed = { description: 'The agent failed', content: { 'application/json': error } };
const busy = { description: "The model server's rate limit", content: { 'application/json': error } };

/** `POST /v1/responses` */
export const create: RouteDocs = {
  summary: "Create a response, as in OpenAI's API; `stream` sends events",
  headers: runHeaders.extend(traceHeaders.shape),
  body: responseBody,
  responses: { 200: events, 429: busy, 500: failed },
  error,
  errors: [...answerErrors, 'RESPONSE_UNKNOWN'],
};

/** `POST /v1/responses/compact` */
export const compact: RouteDocs = {
  summary: 'Replace a conversation by a summary, which the model writes',
  headers: runHeaders.extend(traceHeaders.shape),
  body: compactBody,
  responses: {
    200: {
      description: 'The summary: send it as the first item of the next input',
      content: {
        'application/json': z.object({
          id: z.string(),
          object: z.literal('response.compaction'),
          created_at: z.int(),
          output: z.array(
            z.object({ id: z.string(), type: z.literal('compaction'), encrypted_content: z.string() }),
          ),
          usage,
        }),
      },
    },
    429: busy,
    500: failed,
  },
  error,
  errors: [...answerErrors, 'RESPONSE_UNKNOWN'],
};

/** `GET /v1/responses/{response_id}` */
export const retrieve: RouteDocs = {
  summary: 'Get a response, running or stored; or read its events again, from any of them on',
  params: responseId,
  query: retrieveQuery,
  responses: { 200: events },
  error,
  errors: ['INVALID_REQUEST', 'RESPONSE_UNKNOWN', 'STREAM_GONE', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `DELETE /v1/responses/{response_id}` */
export const remove: RouteDocs = {
  summary: 'Delete a response; a running one is cancelled',
  params: responseId,
  responses: {
    200: {
      description: 'It is gone',
      content: {
        'application/json': z.object({
          id: z.string(),
          object: z.literal('response'),
          deleted: z.literal(true),
        }),
      },
    },
  },
  error,
  errors: ['RESPONSE_UNKNOWN', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `POST /v1/responses/{response_id}/cancel` */
export const cancel: RouteDocs = {
  summary: 'Cancel a response: resolves when the connection to its model is closed',
  params: responseId,
  responses: { 200: { description: 'The response', content: { 'application/json': response } } },
  error,
  errors: ['RESPONSE_UNKNOWN', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `GET /v1/responses/{response_id}/input_items` */
export const inputItems: RouteDocs = {
  summary: 'List the input items of a response, the latest first',
  params: responseId,
  query: itemsQuery,
  responses: {
    200: {
      description: 'One page of them',
      content: {
        'application/json': z.object({
          object: z.literal('list'),
          data: z.array(z.looseObject({ type: z.string(), id: z.string() })),
          first_id: z.string().nullable(),
          last_id: z.string().nullable(),
          has_more: z.boolean(),
        }),
      },
    },
  },
  error,
  errors: ['INVALID_REQUEST', 'RESPONSE_UNKNOWN', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

const closings = [
  `${closeCode.normal} age limit`,
  `${closeCode.goingAway} shutting down`,
  `${closeCode.policyViolation} too many frames`,
  `${closeCode.badFrames} repeated bad frames`,
  `${closeCode.slowReader} reads too slowly`,
];

/** `WS /v1/responses` */
export const socketDocs: EndpointDocs = {
  summary: "Responses over a WebSocket, as in OpenAI's API: one at a time",
  description:
    'Text frames, one JSON object each. `response.create` has the fields of `POST /v1/responses`, and `generate: false` to ' +
    `prepare the model; its events follow, one in each frame. Close codes: ${closings.join(', ')}.`,
  error,
  receives: {
    'response.create': responseBody.extend({ generate: z.boolean().nullish() }),
    ...ownFrames,
  },
  sends: {
    'response.created': z.looseObject({ sequence_number: z.int(), response }),
    'response.in_progress': z.looseObject({ sequence_number: z.int(), response }),
    'response.output_text.delta': z.looseObject({ sequence_number: z.int(), delta: z.string() }),
    'response.completed': z.looseObject({ sequence_number: z.int(), response }),
    'response.incomplete': z.looseObject({ sequence_number: z.int(), response }),
    'response.failed': z.looseObject({ sequence_number: z.int(), response }),
    error: z.looseObject({
      status: z.int(),
      code: z.string().nullable(),
      message: z.string(),
      param: z.string().nullable(),
    }),
  },
};
