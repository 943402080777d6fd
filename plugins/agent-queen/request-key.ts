import type { ChatRequest } from '#kernel';
import { conversationKey } from '#sdk';

/** The key of the conversation that a request belongs to. */
export function keyOf({
  userId = '',
  conversationId = '',
}: Pick<ChatRequest, 'userId' | 'conversationId'>): string {
  return conversationKey({ userId, conversationId });
}
