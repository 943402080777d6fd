import type { ChatMessage, ToolCall } from '#kernel';
import { type Content, contentOf, type Part } from '#sdk/dialect';
import { summaryIn } from './compaction.js';
import type { Item } from './items.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Name of the one argument of a custom tool, whose input is text. */
export const customInput = 'input';

/** Items as agents read them: reasoning and calls belong to the message of the assistant beside them. */
export function messagesOf(items: readonly Item[]): readonly ChatMessage[] {
  const messages: Mutable<ChatMessage>[] = [];
  const names = new Map<string, string>();
  let thinking = '';
  /** The message of the assistant that calls and text are added to. */
  let turn: Mutable<ChatMessage> | undefined;
  const assistant = (): Mutable<ChatMessage> => {
    turn ??= add({ role: 'assistant', content: '' });
    if (thinking) turn.thinking = (turn.thinking ?? '') + thinking;
    thinking = '';
    return turn;
  };
  const add = (message: ChatMessage): Mutable<ChatMessage> => {
    const added = { ...message };
    messages.push(added);
    return added;
  };
  for (const { kind, item } of items) {
    switch (kind) {
      case 'reasoning':
        // Reasoning begins a new turn of the assistant once it has called tools.
        if (turn?.toolCalls) turn = undefined;
        thinking += thoughtOf(item);
        break;
      case 'call': {
        const call = callOf(item);
        names.set(call.id, call.name);
        const message = assistant();
        message.toolCalls = [...(message.toolCalls ?? []), call];
        break;
      }
      case 'message':
        if (item.role === 'assistant') {
          if (turn?.toolCalls || turn?.content) turn = undefined;
          Object.assign(assistant(), fieldsOf(item.content));
          break;
        }
        turn = undefined;
        add({ role: item.role === 'developer' ? 'system' : item.role, ...fieldsOf(item.content) });
        break;
      case 'result': {
        turn = undefined;
        const toolName = names.get(item.call_id);
        const result = fieldsOf(item.output);
        add({ role: 'tool', ...result, toolCallId: item.call_id, ...(toolName && { toolName }) });
        break;
      }
      case 'compaction':
        turn = undefined;
        add({ role: 'system', content: summaryIn(item.encrypted_content) });
    }
  }
  return messages;
}

/** Descriptions of items that no agent gets. */
export function leftOutOf(items: readonly Item[]): readonly string[] {
  return items.flatMap(({ kind, item }, place) =>
    kind === 'other' ? `input[${place}] of the kind ${JSON.stringify(item.type).slice(0, 60)}` : [],
  );
}

/** The content of each item under its place, for `checkContent`. */
export function contentsOf(items: readonly Item[]): readonly { readonly content?: Content }[] {
  return items.map(({ kind, item }) => {
    if (kind === 'message') return { content: item.content as Content };
    return kind === 'result' ? { content: item.output as Content } : {};
  });
}

function fieldsOf(content: unknown): Pick<ChatMessage, 'content' | 'images' | 'parts'> {
  const { text, images, parts } = contentOf(content as string | readonly Part[]);
  return { content: text, ...(images.length > 0 && { images }), ...(parts && { parts }) };
}

function callOf(item: Extract<Item, { kind: 'call' }>['item']): ToolCall {
  const { call_id: id, name, input, arguments: args = '' } = item;
  if (item.type === 'custom_tool_call')
    return { id, name, arguments: JSON.stringify({ [customInput]: input ?? '' }) };
  return { id, name, arguments: args.trim() ? args : '{}' };
}

function thoughtOf({ summary, content }: Extract<Item, { kind: 'reasoning' }>['item']): string {
  const texts = content && content.length > 0 ? content : (summary ?? []);
  return texts.map(({ text }) => text).join('\n\n');
}
