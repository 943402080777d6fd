import type { ChatMessage, ContentPart } from '#kernel';

/**
 * What an agent reads: the latest of a conversation and its new turn, which is left whole. Model servers are strict, so
 * whatever was kept or cut, it begins with what the system and then the user says, the roles alternate, and the calls of
 * tools have their results.
 */
export function inContext(
  history: readonly ChatMessage[],
  turn: readonly ChatMessage[],
  limit: number,
): readonly ChatMessage[] {
  const orders = turn.filter(({ role }) => role === 'system');
  const latest = turn.filter(({ role }) => role !== 'system');
  const past = paired(unrepeated(history.filter(isHeard), latest), latest);
  const said = alternating([...past, ...latest]);
  return [...orders, ...window(said, limit - orders.length, alternating(latest).length)];
}

/** What no model took is not sent again, and what says nothing never. */
function isHeard({ role, content, toolCalls = [], end }: ChatMessage): boolean {
  return (
    role !== 'system' && end !== 'refused' && (role === 'tool' || content !== '' || toolCalls.length > 0)
  );
}

/** Without the questions that got no answer and were asked again right away. */
function unrepeated(history: readonly ChatMessage[], turn: readonly ChatMessage[]): readonly ChatMessage[] {
  return history.filter(({ role, content }, at) => {
    const next = history[at + 1] ?? turn[0];
    return role !== 'user' || next?.role !== 'user' || next.content !== content;
  });
}

/** Only calls with a result right behind them, and only results with such a call. */
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

/** Neighbours who say the same part become one. */
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

/** The last so many from a question on, or what is new with its question if that is more. */
function window(messages: readonly ChatMessage[], limit: number, isNew: number): readonly ChatMessage[] {
  const asked = messages.slice(0, messages.length - isNew + 1).findLastIndex(({ role }) => role === 'user');
  const newest = asked < 0 ? messages.length - isNew : asked;
  let from = Math.max(0, Math.min(newest, messages.length - limit));
  while (from < newest && messages[from]?.role !== 'user') from++;
  return messages.slice(from);
}
