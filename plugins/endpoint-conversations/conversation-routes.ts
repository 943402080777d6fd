import {
  type Access,
  type ChatMessage,
  type ConversationKey,
  type ConversationStore,
  type HttpRequest,
  type HttpResponse,
  WaggleError,
} from '#kernel';
import { expectValid, requiredUser, titleFrom } from '#sdk';
import type { z } from '#zod';
import {
  type conversationList,
  type deletion,
  importQuery,
  type importResult,
  listQuery,
  type messageList,
  messagesQuery,
  type renamed,
  searchQuery,
  type searchResult,
  titleBody,
  turnParams,
  userQuery,
  versionBody,
  type versionShown,
} from './docs.js';
import type { Imports } from './imports.js';
import { allLinesOf, linesOf, newTitleOf, titleIn } from './json-lines.js';
import { shownMessage } from './shown-message.js';
import { deleteTurn, showVersion, timeOf } from './turn-changes.js';

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

/** `GET /conversations/{conversation_id}/messages`. @throws INVALID_REQUEST, CONVERSATION_UNKNOWN, NOT_IMPLEMENTED */
export const listMessages: Handler = async (store, request, response) => {
  const { user_id, limit, before } = await expectValid(messagesQuery, Object.fromEntries(request.query));
  const key = keyFor(request, user_id);
  const found = await pageOf(store, key, Number(limit ?? Number.MAX_SAFE_INTEGER), before);
  // An empty page may be behind the first message.
  if (found.length === 0 && (before === undefined || (await store.read(key, 1)).length === 0))
    throw new WaggleError('CONVERSATION_UNKNOWN', key);
  const messages = found.map(({ number, message }) => {
    const { versions: _, ...shown } = shownMessage(message);
    const times = message.versions && { versions: message.versions.map(timeOf) };
    return { ...(number !== undefined && { number }), ...shown, ...times };
  });
  response.json(200, { messages } satisfies z.infer<typeof messageList>, privately);
};

/** `PATCH /conversations/{conversation_id}`. @throws INVALID_REQUEST, CONVERSATION_UNKNOWN, NOT_IMPLEMENTED */
export const renameConversation: Handler = async (store, request, response) => {
  const key = await keyOf(request);
  const body = await expectValid(titleBody, await request.json());
  const title = titleFrom(body.title);
  if (title === '')
    throw new WaggleError('INVALID_REQUEST', { issues: ['title: expected a character that can be seen'] });
  if (!store.rename) throw new WaggleError('NOT_IMPLEMENTED', { what: 'rename conversations' });
  if (!(await store.rename(key, title))) throw new WaggleError('CONVERSATION_UNKNOWN', key);
  const { conversationId: conversation_id } = key;
  response.json(200, { conversation_id, title } satisfies z.infer<typeof renamed>, privately);
};

/** `GET /conversations/search`. @throws INVALID_REQUEST, NOT_IMPLEMENTED */
export const searchConversations: Handler = async (store, request, response) => {
  const { user_id, q, limit, before } = await expectValid(searchQuery, Object.fromEntries(request.query));
  const userId = requiredUser(request.principal, user_id, 'user_id');
  if (!store.search) throw new WaggleError('NOT_IMPLEMENTED', { what: 'search conversations' });
  const { hits, complete } = await store.search(userId, {
    text: q,
    limit: Number(limit),
    before: before === undefined ? undefined : Number(before),
  });
  const shown = hits.map(({ conversationId: conversation_id, title, number, role, at, excerpt }) => ({
    ...{ conversation_id, title, number },
    ...(role && { role }),
    ...(at !== undefined && { at }),
    excerpt,
  }));
  response.json(200, { hits: shown, complete } satisfies z.infer<typeof searchResult>, privately);
};

/** `POST /conversations/import`. @throws INVALID_REQUEST, BUSY */
export async function importAll(
  imports: Imports,
  request: HttpRequest,
  response: HttpResponse,
): Promise<void> {
  const { user_id, first_line } = await expectValid(importQuery, Object.fromEntries(request.query));
  const userId = requiredUser(request.principal, user_id, 'user_id');
  const lines = await request.text();
  if (lines === '')
    throw new WaggleError('INVALID_REQUEST', { issues: ['expected lines of an export, got nothing'] });
  const result = await imports.run(userId, lines, Number(first_line), request.signal);
  response.json(200, result satisfies z.infer<typeof importResult>, privately);
}

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

/** `DELETE /conversations/{conversation_id}/messages/{number}`. @throws INVALID_REQUEST, CONVERSATION_UNKNOWN, MESSAGE_UNKNOWN, NOT_IMPLEMENTED */
export const deleteMessages: Handler = async (store, request, response) => {
  const { number } = await expectValid(turnParams, request.params);
  await deleteTurn(store, await keyOf(request), Number(number));
  response.json(200, { deleted: true } satisfies z.infer<typeof deletion>);
};

/** `POST /conversations/{conversation_id}/versions`. @throws INVALID_REQUEST, CONVERSATION_UNKNOWN, MESSAGE_UNKNOWN, NOT_IMPLEMENTED */
export const changeVersion: Handler = async (store, request, response) => {
  const key = await keyOf(request);
  const { number, at } = await expectValid(versionBody, await request.json());
  await showVersion(store, key, number, at);
  const { conversationId: conversation_id } = key;
  response.json(200, { conversation_id, at } satisfies z.infer<typeof versionShown>, privately);
};

/** `GET /conversations/{conversation_id}/export`. @throws INVALID_REQUEST, CONVERSATION_UNKNOWN */
export const exportConversation: Handler = async (store, request, response) => {
  const key = await keyOf(request);
  const messages = await store.read(key);
  if (messages.length === 0) throw new WaggleError('CONVERSATION_UNKNOWN', key);
  const { conversationId } = key;
  const title = newTitleOf(messages, await titleIn(store, key));
  const parts = async function* () {
    yield* linesOf(conversationId, messages, title);
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

/** The latest messages before a number, with theirs where the store has numbers. @throws NOT_IMPLEMENTED */
async function pageOf(
  store: ConversationStore,
  key: ConversationKey,
  limit: number,
  before: string | undefined,
): Promise<readonly { readonly number?: number; readonly message: ChatMessage }[]> {
  if (store.page) return store.page(key, { limit, before: before === undefined ? before : Number(before) });
  if (before !== undefined)
    throw new WaggleError('NOT_IMPLEMENTED', { what: 'give messages "before" one of them' });
  return (await store.read(key, limit)).map((message) => ({ message }));
}

async function keyOf(request: HttpRequest): Promise<ConversationKey> {
  const { user_id } = await expectValid(userQuery, Object.fromEntries(request.query));
  return keyFor(request, user_id);
}

function keyFor({ principal, params }: HttpRequest, named: string | undefined): ConversationKey {
  const userId = requiredUser(principal, named, 'user_id');
  return { userId, conversationId: params.conversation_id as string };
}
