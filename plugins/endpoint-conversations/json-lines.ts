import type { ChatMessage, ConversationKey, ConversationStore } from '#kernel';
import { titleOf } from '#sdk';
import type { z } from '#zod';
import type { exportLine } from './docs.js';
import { shownMessage } from './shown-message.js';

const partChars = 64 * 1024;
const pageSize = 1000;

/** One message per line, in parts of bounded size; the first line with the title, if there is one. */
export function* linesOf(
  conversationId: string,
  messages: readonly ChatMessage[],
  title?: string | undefined,
): Iterable<string> {
  let part = '';
  for (const [index, message] of messages.entries()) {
    const line = {
      conversation_id: conversationId,
      ...(index === 0 && title !== undefined && { title }),
      ...shownMessage(message),
    } satisfies z.infer<typeof exportLine>;
    part += `${JSON.stringify(line)}\n`;
    if (part.length < partChars) continue;
    yield part;
    part = '';
  }
  if (part) yield part;
}

/**
 * All conversations that a user has at the beginning, in the order in which an import restores that of the list: the latest one
 * last. One at a time is in memory; the next is read when the consumer has room for it.
 */
export async function* allLinesOf(store: ConversationStore, userId: string): AsyncIterable<string> {
  // All ids first: a conversation that changes meanwhile moves to a page that was already read.
  const all: { readonly conversationId: string; readonly title: string }[] = [];
  for await (const page of pagesOf(store, userId))
    for (const { conversationId, title } of page) all.push({ conversationId, title });
  for (const { conversationId, title } of all.reverse()) {
    const messages = await store.read({ userId, conversationId });
    yield* linesOf(conversationId, messages, newTitleOf(messages, title));
  }
}

/** The title of a conversation in the list; undefined for one that is not there any more. */
export async function titleIn(
  store: ConversationStore,
  { userId, conversationId }: ConversationKey,
): Promise<string | undefined> {
  for await (const page of pagesOf(store, userId)) {
    const found = page.find((each) => each.conversationId === conversationId);
    if (found) return found.title;
  }
  return undefined;
}

/** A title that an import could not tell from the messages. */
export function newTitleOf(messages: readonly ChatMessage[], title: string | undefined): string | undefined {
  return title && title !== titleOf(messages) ? title : undefined;
}

async function* pagesOf(store: ConversationStore, userId: string) {
  for (let before: number | undefined; ; ) {
    const page = await store.list(userId, { limit: pageSize, before });
    yield page;
    if (page.length < pageSize) return;
    before = page.at(-1)?.updatedAt;
  }
}
