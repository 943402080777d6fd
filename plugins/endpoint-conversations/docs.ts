import { clientChosenId, type RouteDocs } from '#kernel';
import { integerText } from '#sdk/http';
import { z } from '#zod';

const maxListed = 100;
const userId = clientChosenId.describe('Whose; over a WebSocket that is the `client_id`');
const role = z.enum(['system', 'user', 'assistant', 'tool']);
const conversationId = z.string();
const end = z
  .enum(['cancelled', 'failed', 'refused'])
  .describe('On the last message of a turn that was stopped, failed, or was refused because of what it asked')
  .exactOptional();

/** The query of every route of one conversation, or of all. */
export const userQuery = z.object({ user_id: userId });

/** The query of `GET /conversations`. */
export const listQuery = z.object({
  user_id: userId,
  limit: integerText(1, maxListed).describe(`How many to list, 1-${maxListed}`).default('50'),
  before: integerText(0)
    .describe('Only those with a lower `updated_at`; that of the last one listed gives the next page')
    .optional(),
});

/** What `GET /conversations` answers. */
export const conversationList = z.object({
  conversations: z
    .array(
      z.object({
        conversation_id: conversationId,
        title: z.string().describe('The start of what the user said first; may be empty'),
        messages: z.int().min(1).describe('How many are kept'),
        updated_at: z
          .int()
          .min(0)
          .describe('When something was added last, in milliseconds since 1970; no two have the same'),
      }),
    )
    .describe('The latest first'),
});

/** What `GET /conversations/{conversation_id}/messages` answers. */
export const messageList = z.object({
  messages: z
    .array(z.object({ role, content: z.string(), end }))
    .describe('Those that are kept, oldest first'),
});

/** What a delete answers. */
export const deletion = z.object({ deleted: z.literal(true) });

/** One line of an export. */
export const exportLine = z.object({ conversation_id: conversationId, role, content: z.string(), end });

const exported = {
  description: 'One message a line, oldest first within a conversation',
  content: { 'application/x-ndjson': exportLine },
};

/** `GET /conversations` */
export const listDocs: RouteDocs = {
  summary: "A user's conversations",
  query: listQuery,
  responses: { 200: { description: 'One page of them', content: { 'application/json': conversationList } } },
  errors: ['INVALID_REQUEST', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `GET /conversations/{conversation_id}/messages` */
export const messagesDocs: RouteDocs = {
  summary: 'The messages of a conversation',
  query: userQuery,
  responses: { 200: { description: 'All of them', content: { 'application/json': messageList } } },
  errors: ['INVALID_REQUEST', 'CONVERSATION_UNKNOWN', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `DELETE /conversations/{conversation_id}` */
export const deleteDocs: RouteDocs = {
  summary: 'Delete a conversation',
  query: userQuery,
  responses: { 200: { description: 'It is gone', content: { 'application/json': deletion } } },
  errors: ['INVALID_REQUEST', 'CONVERSATION_UNKNOWN', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `GET /conversations/{conversation_id}/export` */
export const exportDocs: RouteDocs = {
  summary: 'Download a conversation as lines of JSON',
  query: userQuery,
  responses: { 200: exported },
  errors: ['INVALID_REQUEST', 'CONVERSATION_UNKNOWN', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `GET /conversations/export` */
export const exportAllDocs: RouteDocs = {
  summary: "Download all of a user's conversations as lines of JSON",
  query: userQuery,
  responses: { 200: exported },
  errors: ['INVALID_REQUEST', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};
