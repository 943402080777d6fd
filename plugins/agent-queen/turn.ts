import type { ChatCommand, ChatMessage } from '#kernel';

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
