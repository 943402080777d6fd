import type {
  AnswerOrigin,
  ChatCommand,
  ChatMessage,
  ConversationKey,
  ConversationStore,
  ToolCall,
  TurnEnd,
} from '#kernel';
import type { Mutable } from './mutable.js';
import type { Transcript } from './transcript.js';

/** Outcome of a turn, as far as the client has received it. */
export interface Said {
  readonly text: string;
  /** Those that end the answer. */
  readonly toolCalls: readonly ToolCall[];
  /** The rounds of tools before. */
  readonly transcript?: Transcript | undefined;
  /** The agent and the model that have answered, if any has. */
  readonly origin?: AnswerOrigin | undefined;
  /** Absent for a complete answer. */
  readonly end?: TurnEnd;
  /** Why it has failed. */
  readonly failure?: ChatMessage['failure'];
}

export function turnOf({ content, messages }: ChatCommand): readonly ChatMessage[] {
  return messages ?? [{ role: 'user', content }];
}

/**
 * The messages of a turn and its answer to store. System messages are left out, because every later request would carry them
 * again, and pictures beyond a limit. The last message has the `end`, and that of an answer its origin. With times: those of the turn and of
 * its end.
 */
export function remembered(
  turn: readonly ChatMessage[],
  { text, toolCalls: all, transcript, origin, end, failure }: Said,
  { times, imagesLimitChars = 0 }: Keeping = {},
): readonly ChatMessage[] {
  const said: Mutable<ChatMessage>[] = [];
  for (const message of turn) if (message.role !== 'system') said.push(kept(message, imagesLimitChars));
  const asked = said.length;
  for (const message of transcript?.messages ?? []) said.push({ ...message });
  const content = transcript?.rest(text) ?? text;
  const toolCalls = all.filter(({ id }) => !transcript?.has(id));
  if (content !== '' || toolCalls.length > 0) said.push({ role: 'assistant', content, ...transcript?.by });
  const last = said.at(-1);
  if (last && toolCalls.length > 0)
    last.toolCalls = toolCalls.map(({ id, name, arguments: args, extra }) => ({
      ...{ id, name, arguments: args },
      ...(extra && { extra }),
    }));
  if (last && end) last.end = end;
  if (last && failure) last.failure = failure;
  if (last?.role === 'assistant' && origin) last.answered = origin;
  if (times)
    for (let at = 0; at < said.length; at++)
      (said[at] as Mutable<ChatMessage>).at = at < asked ? times.begunAt : times.endedAt;
  return said;
}

/** How a turn is stored. */
export interface Keeping {
  readonly times?: { readonly begunAt: number; readonly endedAt: number };
  /** Characters of the pictures of a message. */
  readonly imagesLimitChars?: number;
}

function kept(message: ChatMessage, imagesLimitChars: number): Mutable<ChatMessage> {
  const { role, content, images = [], toolCalls, toolCallId, toolName, name } = message;
  const stored: Mutable<ChatMessage> = {
    role,
    content: content.trim() === '' ? shown(message) || content : content,
  };
  if (images.length > 0 && charsOf(images) <= imagesLimitChars) stored.images = images;
  if (name) stored.name = name;
  if (toolCalls) stored.toolCalls = toolCalls;
  if (toolCallId) stored.toolCallId = toolCallId;
  if (toolName) stored.toolName = toolName;
  return stored;
}

function charsOf(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + length, 0);
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
