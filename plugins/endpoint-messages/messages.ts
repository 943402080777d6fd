import type { ChatMessage, ContentPart } from '#kernel';
import { contentFrom } from '#sdk/dialect';
import { type Block, isForeign, type ResultBlock, type ToolResult } from './blocks.js';
import type { CountBody } from './body.js';
import { partsOf, textOf } from './content.js';

type Message = CountBody['messages'][number];
type Of<T extends Block['type']> = Extract<Block, { type: T }>;

interface Turn {
  readonly role: 'user' | 'assistant';
  readonly blocks: Block[];
}

/** The system prompt and the messages in the format of agents. */
export function messagesOf({
  system,
  messages,
}: Pick<CountBody, 'system' | 'messages'>): readonly ChatMessage[] {
  const first = messages.findIndex(({ role }) => role !== 'system');
  const [orders, rest] = first < 0 ? [messages, []] : [messages.slice(0, first), messages.slice(first)];
  const prompts = [
    system ? withoutBilling(textOf(system)) : '',
    ...orders.map(({ content }) => contentFrom(blocksOf(content).flatMap(shown)).text),
  ];
  const prompt = prompts.filter(Boolean).join('\n\n');
  const names = new Map<string, string>();
  const said = turnsOf(rest).flatMap(({ role, blocks }) =>
    role === 'assistant' ? [assistant(blocks, names)] : fromUser(blocks, names),
  );
  return [...(prompt === '' ? [] : [{ role: 'system' as const, content: prompt }]), ...said];
}

/**
 * Neighbours of one role are one turn, as Anthropic has it. Orders to the model amid the conversation become a part of the
 * user's turn: many models take a system message only at the beginning.
 */
function turnsOf(messages: readonly Message[]): readonly Turn[] {
  const turns: Turn[] = [];
  for (const { role: given, content } of messages) {
    const role = given === 'assistant' ? given : 'user';
    const blocks = blocksOf(content);
    const said = given === 'system' ? [orderOf(blocks)] : blocks;
    const last = turns.at(-1);
    if (last?.role === role) last.blocks.push(...said);
    else turns.push({ role, blocks: [...said] });
  }
  return turns;
}

function orderOf(blocks: readonly Block[]): Block {
  const content = blocks.flatMap((block) => (block.type === 'text' ? block : []));
  return { type: 'mid_conv_system', content };
}

/** Blocks that no agent gets, in words. */
export function leftOutOf({ messages }: Pick<CountBody, 'messages'>): readonly string[] {
  return messages.flatMap(({ content }, place) =>
    blocksOf(content).flatMap((block, at) =>
      isForeign(block) ? `messages[${place}].content[${at}] of the kind "${block.type}"` : [],
    ),
  );
}

export function blocksOf(content: Message['content']): readonly Block[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}

function assistant(blocks: readonly Block[], names: Map<string, string>): ChatMessage {
  const thinking = blocksOfType(blocks, 'thinking').map((block) => block.thinking ?? '');
  const toolCalls = blocksOfType(blocks, 'tool_use').map(({ id, name, input, ...block }) => {
    names.set(id, name);
    const extra = extraOf(block);
    return { id, name, arguments: JSON.stringify(input), ...(extra && { extra }) };
  });
  return {
    ...said('assistant', blocks.flatMap(shown)),
    ...(thinking.some(Boolean) && { thinking: thinking.join('') }),
    ...(toolCalls.length > 0 && { toolCalls }),
  };
}

/**
 * Results first, each as a message of its tool, then the rest. Model servers take no images from tools: those follow in the
 * user's message.
 */
function fromUser(blocks: readonly Block[], names: ReadonlyMap<string, string>): readonly ChatMessage[] {
  const results = blocksOfType(blocks, 'tool_result').map((block) => resultOf(block, names));
  const parts = [...results.flatMap(({ rest }) => rest), ...blocks.flatMap(shown)];
  const isOnlyResults = parts.length === 0 && results.length > 0;
  return [...results.map(({ message }) => message), ...(isOnlyResults ? [] : [said('user', parts)])];
}

/** The message of a tool, and the parts of its result that are not text. */
function resultOf(
  { tool_use_id: id, content, is_error: isError }: ToolResult,
  names: ReadonlyMap<string, string>,
) {
  const blocks: readonly ResultBlock[] =
    typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? []);
  const parts = blocks.flatMap(partsOf);
  const isText = ({ type }: ContentPart) => type === 'text';
  const { text } = contentFrom(parts.filter(isText));
  const rest = parts.filter((part) => !isText(part));
  const toolName = names.get(id);
  const from = `From the result of ${toolName ? `the tool ${toolName}` : 'a tool'}:`;
  const message: ChatMessage = {
    role: 'tool',
    content: (isError ? asError(text) : text) || (rest.length > 0 ? 'See the next message.' : ''),
    toolCallId: id,
    ...(toolName && { toolName }),
  };
  return { message, rest: rest.length > 0 ? [{ type: 'text' as const, text: from }, ...rest] : [] };
}

/** Other APIs have no mark for a failed tool. */
function asError(text: string): string {
  return /^\W*(\w+_)?error\b/i.test(text) ? text : `Error: ${text || 'the tool failed'}`;
}

function said(role: 'user' | 'assistant', parts: readonly ContentPart[]): ChatMessage {
  const { text, images, parts: all } = contentFrom(parts);
  return { role, content: text, ...(images.length > 0 && { images }), ...(all && { parts: all }) };
}

function shown(block: Block): readonly ContentPart[] {
  switch (block.type) {
    case 'text':
    case 'image':
    case 'document':
    case 'search_result':
      return partsOf(block);
    case 'mid_conv_system':
      return orderParts(textOf(block.content));
    default:
      return [];
  }
}

/** In the words in which Claude Code has always written them. */
function orderParts(text: string): readonly ContentPart[] {
  return text === '' ? [] : [{ type: 'text', text: `<system-reminder>\n${text}\n</system-reminder>` }];
}

function blocksOfType<T extends Block['type']>(blocks: readonly Block[], type: T): readonly Of<T>[] {
  return blocks.filter((block): block is Of<T> => block.type === type);
}

/** Data of the model server that came with a call, and goes back with it. */
function extraOf({
  type: _,
  caller: __,
  cache_control: ___,
  ...rest
}: Omit<Of<'tool_use'>, 'id' | 'name' | 'input'>) {
  return Object.keys(rest).length > 0 ? rest : undefined;
}

/** Without the line that Claude Code adds for its provider: it differs in each request, and no prefix would be cached. */
function withoutBilling(prompt: string): string {
  return prompt.replace(/^x-anthropic-billing-header:[^\n]*\n*/, '');
}
