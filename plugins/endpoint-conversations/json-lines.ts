import type { ChatMessage, ConversationStore } from '#kernel';
import type { z } from '#zod';
import type { exportLine } from './docs.js';

const partChars = 64 * 1024;
const pageSize = 1000;

/** One message per line, in parts of bounded size. */
export function* linesOf(conversationId: string, messages: readonly ChatMessage[]): Iterable<string> {
  let part = '';
  for (const { role, content, end } of messages) {
    const ended = end && { end };
    const line = { conversation_id: conversationId, role, content, ...ended } satisfies z.infer<
      typeof exportLine
    >;
    part += `${JSON.stringify(line)}\n`;
    if (part.length < partChars) continue;
    yield part;
    part = '';
  }
  if (part) yield part;
}

/**
 * All conversations that a user has at the beginning. One at a time is in memory; the next is read when the consumer
 * has room for it.
 */
export async function* allLinesOf(store: ConversationStore, userId: string): AsyncIterable<string> {
  // All ids first: a conversation that changes meanwhile moves to a page that was already read.
  for (const conversationId of await idsOf(store, userId))
    yield* linesOf(conversationId, await store.read({ userId, conversationId }));
}

async function idsOf(store: ConversationStore, userId: string): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let before: number | undefined; ; ) {
    const page = await store.list(userId, { limit: pageSize, before });
    for (const { conversationId } of page) ids.push(conversationId);
    if (page.length < pageSize) return ids;
    before = page.at(-1)?.updatedAt;
  }
}
