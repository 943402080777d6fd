import type { ChatMessage, ChatOptions } from '../contracts/agent.js';
import type { ChatCommand } from '../contracts/chat.js';
import { WaggleError } from '../errors.js';

/** The fields of a client's request that make its turn. */
export interface TurnFields {
  readonly content?: string | undefined;
  readonly images?: readonly string[] | undefined;
  readonly tools?: ChatOptions['tools'];
  readonly options?: ChatOptions | undefined;
  readonly toolResults?:
    | readonly { readonly id: string; readonly output?: unknown; readonly error?: string | undefined }[]
    | undefined;
}

/** The part of a command that they make. @throws the error of `code` where they have neither a text nor results */
export function turnFields(
  { content, images = [], tools = [], options, toolResults = [] }: TurnFields,
  code: 'INVALID_REQUEST' | 'INVALID_FRAME' = 'INVALID_REQUEST',
): Pick<ChatCommand, 'content' | 'messages' | 'options'> {
  if (content === undefined && toolResults.length === 0)
    throw new WaggleError(code, { issues: ['content: expected string, got nothing'] });
  const asked = tools.length > 0 ? { ...options, tools } : options;
  if (images.length === 0 && toolResults.length === 0) return { content: content ?? '', options: asked };
  const messages: ChatMessage[] = toolResults.map(({ id, output = null, error }) => ({
    role: 'tool',
    content: error === undefined ? textOf(output) : JSON.stringify({ error }),
    toolCallId: id,
  }));
  if (content !== undefined || images.length > 0) messages.push(questionOf(content ?? '', images));
  return { content: content ?? '', messages, options: asked };
}

function questionOf(content: string, urls: readonly string[]): ChatMessage {
  if (urls.length === 0) return { role: 'user', content };
  const images = urls.filter((url) => url.startsWith('data:'));
  const message = { role: 'user' as const, content, ...(images.length > 0 && { images }) };
  if (images.length === urls.length) return message;
  const text = content === '' ? [] : [{ type: 'text' as const, text: content }];
  return { ...message, parts: [...text, ...urls.map((url) => ({ type: 'image' as const, url }))] };
}

function textOf(output: unknown): string {
  return typeof output === 'string' ? output : JSON.stringify(output);
}
