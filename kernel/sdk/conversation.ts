import type { ChatMessage } from '../contracts/agent.js';
import type { ConversationKey } from '../contracts/store.js';

/** The key of a conversation as one text, which no other user's has. */
export function conversationKey({ userId, conversationId }: ConversationKey): string {
  return `${userId.length} ${userId}${conversationId}`;
}

/** Size of a message for the limits of a store: all that can be long. */
export function charsOf(message: ChatMessage): number {
  const { content, toolCalls, images, parts, thinking, extra, versions } = message;
  let chars = content.length + (thinking?.length ?? 0);
  if (toolCalls) chars += JSON.stringify(toolCalls).length;
  if (images) for (const { length } of images) chars += length;
  if (parts) chars += JSON.stringify(parts).length;
  if (extra) chars += JSON.stringify(extra).length;
  if (versions) for (const version of versions) for (const each of version) chars += charsOf(each);
  return chars;
}

const titleLimit = 80;

/** Title of a conversation: the start of its first user message, on one line. */
export function titleOf(messages: readonly ChatMessage[]): string {
  return titleFrom(messages.find(({ role }) => role === 'user')?.content ?? '');
}

/** The start of a text as a title: one line of at most 80 characters, without control characters and lone surrogates. */
export function titleFrom(text: string): string {
  const line = text
    .slice(0, 10 * titleLimit)
    .replace(/[\s\p{Cc}\p{Cs}]+/gu, ' ')
    .trim();
  const characters = [...line];
  return characters.length <= titleLimit ? line : `${characters.slice(0, titleLimit - 1).join('')}…`;
}
