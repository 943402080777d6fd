import type { CallToolResult } from '@modelcontextprotocol/client';

type Block = CallToolResult['content'][number];

/** The form of results. */
export interface ResultSettings {
  readonly content: 'text' | 'all';
  readonly resultLimitChars: number;
}

/** The output of a tool: its text, or its data where it has no text; with `all`, its content as it came. */
export function outputOf(result: CallToolResult, { content, resultLimitChars }: ResultSettings): unknown {
  const { structuredContent } = result;
  if (content === 'all') return wholeOf(result, resultLimitChars);
  const hasText = result.content.some((block) => textIn(block) !== undefined);
  if (hasText || structuredContent === undefined) return cut(textOf(result), resultLimitChars);
  const json = JSON.stringify(structuredContent);
  return json.length > resultLimitChars ? cut(json, resultLimitChars) : structuredContent;
}

/** All of its text, with a note for everything that is none. */
export function textOf({ content }: CallToolResult): string {
  return content.map((block) => textIn(block) ?? noteOf(block)).join('\n');
}

/** Longer text than the limit with the length of the rest. */
function cut(text: string, limitChars: number): string {
  if (text.length <= limitChars) return text;
  // Not between the halves of a character.
  const end = /[\uD800-\uDBFF]/.test(text.charAt(limitChars - 1)) ? limitChars - 1 : limitChars;
  return `${text.slice(0, end)}\n[${text.length - end} more characters are left out]`;
}

/** The content as it came, within the limit: blocks that do not fit become notes, text is cut. */
function wholeOf({ content, structuredContent }: CallToolResult, limitChars: number): unknown {
  let left = limitChars;
  const take = (chars: number) => {
    left -= chars;
    return left >= 0;
  };
  const data = structuredContent === undefined ? 0 : JSON.stringify(structuredContent).length;
  const withData = structuredContent !== undefined && take(data);
  const blocks = content.flatMap((block): readonly object[] => {
    if (left <= 0) return [];
    const room = left;
    if (take(JSON.stringify(block).length)) return [block];
    const text = textIn(block);
    return [{ type: 'text', text: text === undefined ? noteOf(block) : cut(text, room) }];
  });
  return { content: blocks, ...(withData && { structuredContent }) };
}

function textIn(block: Block): string | undefined {
  if (block.type === 'text') return block.text;
  if (block.type === 'resource' && 'text' in block.resource) return block.resource.text;
  return undefined;
}

/** `[image image/png]`, `[resource_link file:///a.txt]` */
function noteOf(block: Block): string {
  const fields = block as {
    readonly mimeType?: string;
    readonly uri?: string;
    readonly resource?: { readonly uri?: string; readonly mimeType?: string };
  };
  const { uri = fields.resource?.uri, mimeType = fields.resource?.mimeType } = fields;
  return `[${[block.type, uri, mimeType].filter(Boolean).join(' ').slice(0, 300)}]`;
}
