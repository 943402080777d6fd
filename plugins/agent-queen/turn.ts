import type {
  ChatCommand,
  ChatMessage,
  ConversationKey,
  ConversationStore,
  ToolCall,
  TurnEnd,
} from '#kernel';
import type { Mutable } from './mutable.js';

/** Outcome of a turn, as far as the client has received it. */
export interface Said {
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  /** Absent for a complete answer. */
  readonly end?: TurnEnd;
}

export function turnOf({ content, messages }: ChatCommand): readonly ChatMessage[] {
  return messages ?? [{ role: 'user', content }];
}

/**
 * The messages of a turn and its answer to store. System messages and images are left out, because every later request would
 * carry them again. The last message has the `end`.
 */
export function remembered(
  turn: readonly ChatMessage[],
  { text, toolCalls, end }: Said,
): readonly ChatMessage[] {
  const said: Mutable<ChatMessage>[] = [];
  for (const message of turn) if (message.role !== 'system') said.push(kept(message));
  if (text !== '' || toolCalls.length > 0) said.push({ role: 'assistant', content: text });
  const last = said.at(-1);
  if (last && toolCalls.length > 0)
    last.toolCalls = toolCalls.map(({ id, name, arguments: args, extra }) => ({
      ...{ id, name, arguments: args },
      ...(extra && { extra }),
    }));
  if (last && end) last.end = end;
  return said;
}

function kept(message: ChatMessage): Mutable<ChatMessage> {
  const { role, content, toolCalls, toolCallId, toolName, name } = message;
  const stored: Mutable<ChatMessage> = {
    role,
    content: content.trim() === '' ? shown(message) || content : content,
  };
  if (name) stored.name = name;
  if (toolCalls) stored.toolCalls = toolCalls;
  if (toolCallId) stored.toolCallId = toolCallId;
  if (toolName) stored.toolName = toolName;
  return stored;
}

/** Placeholder for content other than text. */
function shown({ images = [], parts }: ChatMessage): string {
  if (!parts) return images.map(() => '[image]').join(' ');
  const words = { text: '', image: '[image]', other: '[attachment]' };
  return parts
    .map(({ type }) => words[type])
    .join(' ')
    .trim();
}

/** Removes an appended turn, also from a store without `retract`. */
export async function retract(
  store: ConversationStore,
  key: ConversationKey,
  messages: readonly ChatMessage[],
): Promise<void> {
  if (store.retract) return store.retract(key, messages);
  const all = await store.read(key);
  const rest = all.slice(0, -messages.length);
  const isLast = JSON.stringify(all.slice(rest.length)) === JSON.stringify(messages);
  if (!isLast) return;
  await store.delete(key);
  if (rest.length > 0) await store.append(key, rest);
}
