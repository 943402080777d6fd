import type { ChatCommand, ChatMessage, ConversationKey, ConversationStore } from '#kernel';

/** The messages that one request adds to a conversation. */
export function turnOf({ content, messages }: ChatCommand): readonly ChatMessage[] {
  return messages ?? [{ role: 'user', content }];
}

/** The latest of a conversation with its new turn, which is left whole. What the system says comes before everything. */
export function inContext(
  history: readonly ChatMessage[],
  turn: readonly ChatMessage[],
  limit: number,
): readonly ChatMessage[] {
  const latest = history.slice(Math.max(0, history.length + turn.length - limit));
  const spoken = turn.findIndex(({ role }) => role !== 'system');
  const lead = spoken < 0 ? turn.length : spoken;
  return [...turn.slice(0, lead), ...latest, ...turn.slice(lead)];
}

/** What is kept of a turn and its answer: what the user and the assistant said. */
export function remembered(turn: readonly ChatMessage[], answer: string): readonly ChatMessage[] {
  const said = turn.filter(({ role }) => role === 'user');
  return [...said.map(({ role, content }) => ({ role, content })), { role: 'assistant', content: answer }];
}

/** Takes a turn back that was appended, also where the store cannot do so by itself. */
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
