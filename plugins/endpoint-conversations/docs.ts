import { type RouteDocs, usage } from '#kernel';
import { userField } from '#sdk';
import { integerText } from '#sdk/http';
import { z } from '#zod';

const maxListed = 100;
const maxMessages = 1000;
const titleChars = 200;
const searchChars = 500;
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
        title: z
          .string()
          .describe('The beginning of the first user message, until it is renamed; may be empty'),
        messages: z.int().min(1).describe('Number of stored messages'),
        updated_at: z.int().min(0).describe('Time of the last change, in milliseconds since 1970; unique'),
      }),
    )
    .describe('Newest first'),
});

const opaque = z.record(z.string(), z.unknown());
const at = z.int().min(0).describe('The time of it, in milliseconds since 1970').exactOptional();
const number = z
  .int()
  .describe('Rises within a conversation, with gaps; absent where the store of this server has no numbers')
  .exactOptional();

/** One message of a conversation. */
export const message = z.object({
  role,
  content: z.string(),
  images: z
    .array(z.string().regex(/^(data:image\/|https?:\/\/)/, 'expected a data: or http(s) URL of an image'))
    .describe('As `data:` URLs; a URL where the model server fetches it')
    .exactOptional(),
  parts: z
    .array(
      z.union([
        z.object({ type: z.literal('text'), text: z.string() }),
        z.object({ type: z.literal('image'), url: z.string(), detail: z.string().exactOptional() }),
        z.object({ type: z.literal('other'), value: opaque }),
      ]),
    )
    .describe('The whole message in order, if `content` and `images` do not hold all of it')
    .exactOptional(),
  thinking: z.string().exactOptional(),
  name: z.string().describe('Its author, in a conversation of several').exactOptional(),
  tool_calls: z
    .array(
      z.object({ id: z.string(), name: z.string(), arguments: z.string(), extra: opaque.exactOptional() }),
    )
    .describe('Tools that the assistant called; the arguments are the text of the model')
    .exactOptional(),
  tool_call_id: z.string().describe('The call whose result a message of a tool is').exactOptional(),
  tool_name: z.string().exactOptional(),
  agent: z.string().describe('The agent that has written it, after a hand-over').exactOptional(),
  end,
  failure: z
    .object({ code: z.string(), message: z.string() })
    .describe('Why, beside `end` of a turn that failed')
    .exactOptional(),
  at,
  answered: z
    .object({ agent: z.string(), model: z.string().exactOptional(), usage: usage.exactOptional() })
    .describe('The agent and the model that gave the answer, and what it used; on the last message of a turn')
    .exactOptional(),
  versions: z
    .array(z.array(opaque))
    .refine(areMessages, 'expected lists of messages')
    .describe('On a question: the messages of other versions of the conversation from here on')
    .exactOptional(),
  extra: opaque.describe('Fields that a client added for the model server').exactOptional(),
});

/** Whether all of these are messages, and so are those of their own versions. */
function areMessages(versions: readonly (readonly object[])[]): boolean {
  return versions.flat().every((each) => message.safeParse(each).success);
}

/** The query of `GET /conversations/{conversation_id}/messages`. */
export const messagesQuery = z.object({
  user_id: userId,
  limit: integerText(1, maxMessages)
    .describe(`The latest messages, 1-${maxMessages}; all of them when absent`)
    .optional(),
  before: integerText(0)
    .describe('Only messages with a lower `number`; for the page before, that of the first message')
    .optional(),
});

/** The response of `GET /conversations/{conversation_id}/messages`. */
export const messageList = z.object({
  messages: z
    .array(
      z.object({
        ...{ number, ...message.shape },
        versions: z
          .array(at.unwrap())
          .describe('On a question: times of other versions of the conversation from here on')
          .exactOptional(),
      }),
    )
    .describe('The stored messages, oldest first'),
});

/** The body of `POST /conversations/{conversation_id}/versions`. */
export const versionBody = z.object({
  number: z.int().describe('The number of the question'),
  at: z.int().min(0).describe('The time of the version to show, of `versions` of the question'),
});

/** The response of `POST /conversations/{conversation_id}/versions`. */
export const versionShown = z.object({ conversation_id: conversationId, at: z.int() });

/** The path of `DELETE /conversations/{conversation_id}/messages/{number}`. */
export const turnParams = z.object({ number: integerText(0).describe('The number of the question') });

/** The body of a rename. */
export const titleBody = z.object({
  title: z.string().min(1).max(titleChars).describe('One line; what is longer than 80 characters is cut'),
});

/** The response of a rename. */
export const renamed = z.object({ conversation_id: conversationId, title: z.string() });

/** The query of `GET /conversations/search`. */
export const searchQuery = z.object({
  user_id: userId,
  q: z
    .string()
    .min(1)
    .max(searchChars)
    .describe(
      'Words; found is what has all of them, each at the beginning of a word, without case and accents',
    ),
  limit: integerText(1, maxListed).describe(`Page size, 1-${maxListed}`).default('20'),
  before: z
    .string()
    .regex(/^-?\d{1,15}$/, 'expected an integer')
    .describe('Only hits with a lower `number`; for the next page, that of the last hit')
    .optional(),
});

/** The response of `GET /conversations/search`. */
export const searchResult = z.object({
  hits: z
    .array(
      z.object({
        conversation_id: conversationId,
        title: z.string(),
        number: z.int().describe('That of the message; negative for a title'),
        role: role.describe('Absent where the title was found').exactOptional(),
        at,
        excerpt: z.string().describe('The text around the first of the words, on one line'),
      }),
    )
    .describe('The newest message first, titles that were set by a rename last'),
  complete: z.boolean().describe('False while older messages are still being made searchable'),
});

/** The response of a delete. */
export const deletion = z.object({ deleted: z.literal(true) });

/** One line of an export. */
export const exportLine = z.object({
  conversation_id: z.string().min(1).max(256),
  title: z.string().describe('On the first line of a conversation that was renamed').exactOptional(),
  ...message.shape,
});

/** The query of an import. */
export const importQuery = z.object({
  user_id: userId,
  first_line: integerText(1).describe('The number of the first line, for errors').default('1'),
});

/** The response of an import. */
export const importResult = z.object({
  imported: z.array(z.object({ conversation_id: conversationId, messages: z.int() })),
  skipped: z
    .array(z.object({ conversation_id: conversationId, line: z.int(), why: z.string() }))
    .describe('Conversations that were not imported, with their first line: those that are there already'),
});

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
  query: messagesQuery,
  responses: { 200: { description: 'The stored messages', content: { 'application/json': messageList } } },
  errors: ['INVALID_REQUEST', 'CONVERSATION_UNKNOWN', 'NOT_IMPLEMENTED', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `PATCH /conversations/{conversation_id}` */
export const renameDocs: RouteDocs = {
  summary: 'Rename a conversation',
  query: userQuery,
  body: titleBody,
  responses: { 200: { description: 'It is renamed', content: { 'application/json': renamed } } },
  errors: ['INVALID_REQUEST', 'CONVERSATION_UNKNOWN', 'NOT_IMPLEMENTED', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `GET /conversations/search` */
export const searchDocs: RouteDocs = {
  summary: "Search a user's conversations",
  query: searchQuery,
  responses: { 200: { description: 'One page of hits', content: { 'application/json': searchResult } } },
  errors: ['INVALID_REQUEST', 'NOT_IMPLEMENTED', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
};

/** `POST /conversations/import` */
export const importDocs: RouteDocs = {
  summary:
    'Import conversations that were exported: lines of JSON, as text/plain or as one line of application/json',
  query: importQuery,
  body: exportLine,
  responses: {
    200: { description: 'What was imported', content: { 'application/json': importResult } },
  },
  errors: ['INVALID_REQUEST', 'BUSY', 'QUEUE_FULL', 'DEADLINE_EXCEEDED'],
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

/** `DELETE /conversations/{conversation_id}/messages/{number}` */
export const deleteTurnDocs: RouteDocs = {
  summary: 'Deletes a question with its answer, and their other versions',
  params: turnParams,
  query: userQuery,
  responses: { 200: { description: 'They are deleted', content: { 'application/json': deletion } } },
  errors: [
    ...(['INVALID_REQUEST', 'CONVERSATION_UNKNOWN', 'MESSAGE_UNKNOWN', 'NOT_IMPLEMENTED'] as const),
    ...(['QUEUE_FULL', 'DEADLINE_EXCEEDED'] as const),
  ],
};

/** `POST /conversations/{conversation_id}/versions` */
export const versionDocs: RouteDocs = {
  summary: 'Shows another version of a conversation from a question on; the present one is kept',
  query: userQuery,
  body: versionBody,
  responses: { 200: { description: 'It is shown', content: { 'application/json': versionShown } } },
  errors: deleteTurnDocs.errors ?? [],
};
