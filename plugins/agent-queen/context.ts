import type { ChatMessage, ContentPart } from '#kernel';

/**
 * The messages for an agent: the latest of a conversation and the whole new turn. Model servers are strict, so they begin
 * with system messages and then a user message, roles alternate, and each tool call has its result.
 */
export function inContext(
  history: readonly ChatMessage[],
  turn: readonly ChatMessage[],
  limit: number,
): readonly ChatMessage[] {
  // The first question of a conversation.
  if (history.length === 0 && turn.length === 1 && turn[0]?.role === 'user') return turn;
  const orders = turn.filter(({ role }) => role === 'system');
  const latest = turn.filter(({ role }) => role !== 'system');
  const past = paired(unrepeated(history.filter(isHeard), latest), latest);
  const said = alternating([...past, ...latest]);
  return [...orders, ...window(said, limit - orders.length, alternating(latest).length)];
}

/** Excludes system messages, refused turns, truncated answers and empty messages. */
function isHeard({ role, content, toolCalls = [], end }: ChatMessage): boolean {
  if (role === 'system' || end === 'refused') return false;
  const isHalf = role === 'assistant' && end === 'failed';
  return role === 'tool' || (content !== '' && !isHalf) || toolCalls.length > 0;
}

/** Without unanswered questions that were repeated at once. */
function unrepeated(history: readonly ChatMessage[], turn: readonly ChatMessage[]): readonly ChatMessage[] {
  return history.filter(({ role, content }, at) => {
    const next = history[at + 1] ?? turn[0];
    return role !== 'user' || next?.role !== 'user' || next.content !== content;
  });
}

/** Keeps only tool calls directly followed by their results, and only results of such calls. */
function paired(history: readonly ChatMessage[], turn: readonly ChatMessage[]): readonly ChatMessage[] {
  const all = [...history, ...turn];
  let open = new Set<string>();
  return history.flatMap(({ end: _, toolCalls, ...message }, at) => {
    if (message.role === 'tool') return open.delete(message.toolCallId ?? '') ? [message] : [];
    const results = toolCalls && resultsBehind(all, at);
    const calls = toolCalls?.filter(({ id }) => results?.has(id)) ?? [];
    open = new Set(calls.map(({ id }) => id));
    if (calls.length > 0) return [{ ...message, toolCalls: calls }];
    return message.content === '' ? [] : [message];
  });
}

function resultsBehind(messages: readonly ChatMessage[], at: number): ReadonlySet<string | undefined> {
  const ids = new Set<string | undefined>();
  for (let next = at + 1; messages[next]?.role === 'tool'; next++) ids.add(messages[next]?.toolCallId);
  return ids;
}

/** Joins adjacent messages of one role. */
function alternating(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const result: ChatMessage[] = [];
  for (const message of messages) {
    const before = result.at(-1);
    if (before?.role === message.role && !before.toolCalls && message.role !== 'tool')
      result[result.length - 1] = joined(before, message);
    else result.push(message);
  }
  return result;
}

function joined(before: ChatMessage, message: ChatMessage): ChatMessage {
  const images = [...(before.images ?? []), ...(message.images ?? [])];
  const parts = before.parts || message.parts ? [...partsOf(before), ...partsOf(message)] : [];
  return {
    ...before,
    ...message,
    content: [before.content, message.content].filter((text) => text !== '').join('\n\n'),
    ...(images.length > 0 && { images }),
    ...(parts.length > 0 && { parts }),
  };
}

function partsOf({ content, images = [], parts }: ChatMessage): readonly ContentPart[] {
  if (parts) return parts;
  const said = content === '' ? [] : [{ type: 'text' as const, text: content }];
  return [...said, ...images.map((url) => ({ type: 'image' as const, url }))];
}

/** The last `limit` messages from a user message on, or the new ones with their question where those are more. */
function window(messages: readonly ChatMessage[], limit: number, isNew: number): readonly ChatMessage[] {
  const asked = messages.slice(0, messages.length - isNew + 1).findLastIndex(({ role }) => role === 'user');
  const newest = asked < 0 ? messages.length - isNew : asked;
  let from = Math.max(0, Math.min(newest, messages.length - limit));
  while (from < newest && messages[from]?.role !== 'user') from++;
  return messages.slice(from);
}
