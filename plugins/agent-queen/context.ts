import type { ChatMessage, ContentPart, ToolCall } from '#kernel';
import { toolNameOf } from './tool-name.js';

/**
 * The messages for an agent: the latest of a conversation and the whole new turn. Model servers are strict, so they begin
 * with system messages and then a user message, roles alternate, and each tool call has its result.
 */
export function inContext(history: readonly ChatMessage[], turn: readonly ChatMessage[]): Conversation {
  // The first question of a conversation.
  if (history.length === 0 && turn.length === 1 && turn[0]?.role === 'user')
    return { messages: turn, running: turn[0] };
  const orders = turn.filter(({ role }) => role === 'system');
  const latest = turn.filter(({ role }) => role !== 'system');
  const past = paired(unrepeated(history.filter(isHeard), latest), latest);
  const said = alternating([...past, ...latest]);
  const isNew = alternating(latest).length;
  const asked = said.slice(0, said.length - isNew + 1).findLastIndex(({ role }) => role === 'user');
  const newest = asked < 0 ? said.length - isNew : asked;
  // A store that has dropped the question of an answer.
  const first = said.findIndex(({ role }) => role === 'user');
  const from = first < 0 ? newest : Math.min(first, newest);
  return { messages: [...orders, ...said.slice(from)], running: said[newest] };
}

/** The messages of a conversation for an agent. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  /** The first message of the running turn: its question. */
  readonly running: ChatMessage | undefined;
}

/** The index of the first message of the running turn: that of `running`, else the last question. */
export function runningFrom(messages: readonly ChatMessage[], running: ChatMessage | undefined): number {
  const at = running ? messages.indexOf(running) : -1;
  if (at >= 0) return at;
  const asked = messages.findLastIndex(({ role }) => role === 'user');
  return asked < 0 ? messages.length - 1 : asked;
}

/**
 * Where messages may begin after their oldest turns were left out: the indices of the first messages of turns, from the second
 * turn to the running one.
 */
export function startsIn(
  messages: readonly ChatMessage[],
  running: ChatMessage | undefined,
): readonly number[] {
  const starts: number[] = [];
  const end = runningFrom(messages, running);
  let before: ChatMessage['role'] | undefined;
  for (let at = 0; at <= end; at++) {
    const { role } = messages[at] as ChatMessage;
    if (role === 'system') continue;
    if (before !== undefined && (at === end || (role === 'user' && before !== 'user'))) starts.push(at);
    before = role;
  }
  return starts;
}

/** The index from which on there are at most `limit` messages, if the running turn is no longer; 0 for all of them. */
export function latestFrom({ messages, running }: Conversation, limit: number): number {
  if (messages.length <= limit) return 0;
  const orders = messages.filter(({ role }) => role === 'system').length;
  const starts = startsIn(messages, running);
  return starts.find((start) => messages.length - start + orders <= limit) ?? starts.at(-1) ?? 0;
}

/** The messages from an index on, and the system messages before. */
export function withoutFirst(messages: readonly ChatMessage[], from: number): readonly ChatMessage[] {
  return messages.filter(({ role }, at) => at >= from || role === 'system');
}

/** The agent that the conversation was handed over to. */
export function ownerOf(history: readonly ChatMessage[]): string | undefined {
  return history.findLast(({ role }) => role === 'assistant' || role === 'tool')?.agent;
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
  let open = new Map<string, string>();
  return history.flatMap((stored, at) => {
    const { end: _, agent: __, at: ___, answered: ____, versions: _____, failure: ______, ...rest } = stored;
    const { toolCalls, ...message } = rest;
    if (message.role === 'tool') {
      const name = open.get(message.toolCallId ?? '');
      open.delete(message.toolCallId ?? '');
      return name === undefined
        ? []
        : [{ ...message, ...(message.toolName !== undefined && { toolName: name }) }];
    }
    const results = toolCalls && resultsBehind(all, at);
    const calls = toolCalls?.filter(({ id }) => results?.has(id)).map(asModelsHave) ?? [];
    open = new Map(calls.map(({ id, name }) => [id, name]));
    if (calls.length > 0) return [{ ...message, toolCalls: calls }];
    return message.content === '' ? [] : [message];
  });
}

/** A call of a tool of this server has the name of a task. */
function asModelsHave({ executor, name, ...call }: ToolCall): ToolCall {
  return { ...call, name: executor === 'server' ? toolNameOf(name) : name };
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
