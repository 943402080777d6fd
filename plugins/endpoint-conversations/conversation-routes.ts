import {
  type Access,
  type ChatMessage,
  type ConversationKey,
  type ConversationStore,
  type HttpRequest,
  type HttpResponse,
  WaggleError,
} from '#kernel';
import { expectValid, requiredUser } from '#sdk';
import type { z } from '#zod';
import { type conversationList, type deletion, listQuery, type messageList, userQuery } from './docs.js';
import { allLinesOf, linesOf } from './json-lines.js';

type Handler = (store: ConversationStore, request: HttpRequest, response: HttpResponse) => Promise<void>;

const privately = { 'cache-control': 'no-store' };

/** `GET /conversations`. @throws INVALID_REQUEST */
export const listConversations: Handler = async (store, request, response) => {
  const { user_id, limit, before } = await expectValid(listQuery, Object.fromEntries(request.query));
  const list = await store.list(requiredUser(request.principal, user_id, 'user_id'), {
    limit: Number(limit),
    before: before === undefined ? undefined : Number(before),
  });
  const conversations = list.map(({ conversationId, title, messages, updatedAt }) => ({
    conversation_id: conversationId,
    title,
    messages,
    updated_at: updatedAt,
  }));
  response.json(200, { conversations } satisfies z.infer<typeof conversationList>, privately);
};

/** `GET /conversations/{conversation_id}/messages`. @throws INVALID_REQUEST, CONVERSATION_UNKNOWN */
export const listMessages: Handler = async (store, request, response) => {
  const { messages: found } = await conversationOf(store, request);
  const messages = found.map(({ role, content, end }) => ({ role, content, ...(end && { end }) }));
  response.json(200, { messages } satisfies z.infer<typeof messageList>, privately);
};

/** `DELETE /conversations/{conversation_id}`. @throws INVALID_REQUEST, CONVERSATION_UNKNOWN */
export async function deleteConversation(
  store: ConversationStore,
  request: HttpRequest,
  response: HttpResponse,
  access?: Access,
): Promise<void> {
  const key = await keyOf(request);
  if (!(await store.delete(key))) throw new WaggleError('CONVERSATION_UNKNOWN', key);
  const { id: requestId, remoteAddress, principal } = request;
  const { userId: owner, conversationId } = key;
  const userId = principal?.id ?? owner;
  const what = `conversation ${conversationId} of ${owner}`;
  access?.audit({ action: 'deleted', what, userId, remoteAddress, requestId });
  response.json(200, { deleted: true } satisfies z.infer<typeof deletion>);
}

/** `GET /conversations/{conversation_id}/export`. @throws INVALID_REQUEST, CONVERSATION_UNKNOWN */
export const exportConversation: Handler = async (store, request, response) => {
  const { key, messages } = await conversationOf(store, request);
  const { conversationId } = key;
  const parts = async function* () {
    yield* linesOf(conversationId, messages);
  };
  await response.stream(200, downloadAs('conversation.jsonl'), parts());
};

/** `GET /conversations/export`. @throws INVALID_REQUEST */
export const exportAll: Handler = async (store, request, response) => {
  const { user_id } = await expectValid(userQuery, Object.fromEntries(request.query));
  const userId = requiredUser(request.principal, user_id, 'user_id');
  await response.stream(200, downloadAs('conversations.jsonl'), allLinesOf(store, userId));
};

function downloadAs(name: string) {
  return {
    'content-type': 'application/x-ndjson; charset=utf-8',
    'content-disposition': `attachment; filename="${name}"`,
    ...privately,
  };
}

async function conversationOf(
  store: ConversationStore,
  request: HttpRequest,
): Promise<{ readonly key: ConversationKey; readonly messages: readonly ChatMessage[] }> {
  const key = await keyOf(request);
  const messages = await store.read(key);
  if (messages.length === 0) throw new WaggleError('CONVERSATION_UNKNOWN', key);
  return { key, messages };
}

async function keyOf(request: HttpRequest): Promise<ConversationKey> {
  const { user_id } = await expectValid(userQuery, Object.fromEntries(request.query));
  const userId = requiredUser(request.principal, user_id, 'user_id');
  return { userId, conversationId: request.params.conversation_id as string };
}
