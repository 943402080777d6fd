import type { ChatMessage } from '../contracts/agent.js';

/** Size of a message for the limits of a store. */
export function charsOf({ content, toolCalls }: ChatMessage): number {
  return toolCalls ? content.length + JSON.stringify(toolCalls).length : content.length;
}

const titleLimit = 80;

/** Title of a conversation: the start of its first user message, on one line. */
export function titleOf(messages: readonly ChatMessage[]): string {
  const { content = '' } = messages.find(({ role }) => role === 'user') ?? {};
  const line = content
    .slice(0, 10 * titleLimit)
    .replace(/[\s\p{Cc}\p{Cs}]+/gu, ' ')
    .trim();
  const characters = [...line];
  return characters.length <= titleLimit ? line : `${characters.slice(0, titleLimit - 1).join('')}…`;
}
