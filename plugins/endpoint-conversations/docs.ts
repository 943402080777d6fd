import type { RouteDocs } from '#kernel';
import { userField } from '#sdk';
import { integerText } from '#sdk/http';
import { z } from '#zod';

const maxListed = 100;
const userId = userField(
  'The owner: over a WebSocket, the `client_id`. Required in an open server; else that of the credentials',
);
const role = z.enum(['system', 'user', 'assistant', 'tool']);
const conversationId = z.string();
const end = z
  .enum(['cancelled', 'failed', 'refused'])
  .describe('Set on the last message of a turn that was cancelled, failed, or was refused for its content')
  .exactOptional();

/** The query of the other routes. */
export const userQuery = z.object({ user_id: userId });

/** The query of `GET /conversations`. */
export const listQuery = z.object({
  user_id: userId,
  limit: integerText(1, maxListed).describe(`Page size, 1-${maxListed}`).default('50'),
  before: integerText(0)
    .describe(
      'Lists only conversations with a lower `updated_at`; for the next page, that of the last one listed',
    )
    .optional(),
});

/** The response of `GET /conversations`. */
export const conversationList = z.object({
  conversations: z
    .array(
      z.object({
        conversation_id: conversationId,
        title: z.string().describe('The beginning of the first user message; may be empty'),
        messages: z.int().min(1).describe('Number of stored messages'),
        updated_at: z.int().min(0).describe('Time of the last change, in milliseconds since 1970; unique'),
      }),
    )
    .describe('Newest first'),
});

/** The response of `GET /conversations/{conversation_id}/messages`. */
export const messageList = z.object({
  messages: z
    .array(z.object({ role, content: z.string(), end }))
    .describe('The stored messages, oldest first'),
});

/** The response of a delete. */
export const deletion = z.object({ deleted: z.literal(true) });

/** One line of an export. */
export const exportLine = z.object({ conversation_id: conversationId, role, content: z.string(), end });

const exported = {
  description: 'One message per line, oldest first within a conversation',
  content: { 'application/x-ndjson': exportLine },
};

/** `GET /conversations` */
export const listDocs: RouteDocs = {
  summary: "A user's conversations",
  query: listQuery,
  responses: {
    200: { description: 'One page of conversations', content: { 'application/json': conversationList } },
  },
  errors: ['INVALID_REQUEST', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `GET /conversations/{conversation_id}/messages` */
export const messagesDocs: RouteDocs = {
  summary: 'The messages of a conversation',
  query: userQuery,
  responses: { 200: { description: 'The stored messages', content: { 'application/json': messageList } } },
  errors: ['INVALID_REQUEST', 'CONVERSATION_UNKNOWN', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `DELETE /conversations/{conversation_id}` */
export const deleteDocs: RouteDocs = {
  summary: 'Delete a conversation',
  query: userQuery,
  responses: {
    200: { description: 'The conversation is deleted', content: { 'application/json': deletion } },
  },
  errors: ['INVALID_REQUEST', 'CONVERSATION_UNKNOWN', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `GET /conversations/{conversation_id}/export` */
export const exportDocs: RouteDocs = {
  summary: 'Download a conversation as JSON lines',
  query: userQuery,
  responses: { 200: exported },
  errors: ['INVALID_REQUEST', 'CONVERSATION_UNKNOWN', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `GET /conversations/export` */
export const exportAllDocs: RouteDocs = {
  summary: 'Download all conversations of a user as JSON lines',
  query: userQuery,
  responses: { 200: exported },
  errors: ['INVALID_REQUEST', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};
