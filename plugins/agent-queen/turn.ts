import type {
  ChatCommand,
  ChatMessage,
  ConversationKey,
  ConversationStore,
  ToolCall,
  TurnEnd,
} from '#kernel';

/** What came of a turn, as far as its client has got it. */
export interface Said {
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  /** Where it did not end well. */
  readonly end?: TurnEnd;
}

/** The messages that one request adds to a conversation. */
export function turnOf({ content, messages }: ChatCommand): readonly ChatMessage[] {
  return messages ?? [{ role: 'user', content }];
}

/**
 * What is kept of a turn and its answer, in order: all but what the system says and the images, which would be read anew
 * with each later question. How it ended is on its last message.
 */
export function remembered(
  turn: readonly ChatMessage[],
  { text, toolCalls, end }: Said,
): readonly ChatMessage[] {
  const said = turn.filter(({ role }) => role !== 'system').map(kept);
  const calls = toolCalls.map(({ id, name, arguments: args, extra }) => ({
    ...{ id, name, arguments: args },
    ...(extra && { extra }),
  }));
  const called = calls.length > 0 && { toolCalls: calls };
  if (text !== '' || called) said.push({ role: 'assistant', content: text, ...called });
  const last = said.pop();
  return last ? [...said, { ...last, ...(end && { end }) }] : [];
}

function kept(message: ChatMessage): ChatMessage {
  const { role, content, toolCalls, toolCallId, toolName, name } = message;
  return {
    role,
    content: content.trim() === '' ? shown(message) || content : content,
    ...(name && { name }),
    ...(toolCalls && { toolCalls }),
    ...(toolCallId && { toolCallId }),
    ...(toolName && { toolName }),
  };
}

/** What stands for all that is no text. */
function shown({ images = [], parts }: ChatMessage): string {
  if (!parts) return images.map(() => '[image]').join(' ');
  const words = { text: '', image: '[image]', other: '[attachment]' };
  return parts
    .map(({ type }) => words[type])
    .join(' ')
    .trim();
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
