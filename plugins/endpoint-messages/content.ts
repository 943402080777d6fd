import type { ContentPart } from '#kernel';
import type { SpecialPart } from '#sdk/dialect';
import type { Block, ResultBlock } from './blocks.js';

type Document = Extract<Block, { type: 'document' }>;
type Part = Extract<ResultBlock, { type: 'text' | 'image' | 'document' }>;

/** The parts of a block, for agents; none for an empty text, which model servers may refuse. */
export function partsOf(block: ResultBlock): readonly ContentPart[] {
  switch (block.type) {
    case 'text':
      return textPart(block.text);
    case 'image':
      return [{ type: 'image', url: urlOf(block) }];
    case 'document':
      return documentParts(block);
    case 'search_result':
      return textPart(linesOf(block.title, block.source, textOf(block.content ?? '')));
    case 'tool_reference':
      return textPart(block.tool_name);
  }
}

/** Blocks of a list of them that not every agent can pass on. */
export function specialIn(
  blocks: readonly { readonly type: string }[],
  place: string,
): readonly SpecialPart[] {
  return blocks.flatMap((each, at): readonly SpecialPart[] => {
    const path = `${place}.${at}`;
    const block = each as Part;
    if (block.type === 'image') return [{ place: `${path}.source.url`, imageUrl: urlOf(block) }];
    if (block.type !== 'document') return [];
    const { source } = block;
    if (source.type === 'content')
      return typeof source.content === 'string' ? [] : specialIn(source.content, `${path}.source.content`);
    return source.type === 'base64' ? [{ place: `${path}.type`, kind: block.type }] : [];
  });
}

/** Text, or the text of blocks. */
export function textOf(content: string | readonly { readonly text: string }[]): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('\n');
}

function urlOf({ source }: Extract<Block, { type: 'image' }>): string {
  return source.type === 'url' ? source.url : `data:${source.media_type};base64,${source.data}`;
}

function documentParts({ title, context, source }: Document): readonly ContentPart[] {
  if (source.type === 'text') return textPart(linesOf(title, context, source.data));
  if (source.type === 'content') {
    const { content } = source;
    const blocks = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content;
    return [...textPart(linesOf(title, context)), ...blocks.flatMap(partsOf)];
  }
  const file_data = `data:${source.media_type};base64,${source.data}`;
  const file = { filename: title ?? 'document.pdf', file_data };
  return [...textPart(linesOf(context)), { type: 'other', value: { type: 'file', file } }];
}

function textPart(text: string): readonly ContentPart[] {
  return text === '' ? [] : [{ type: 'text', text }];
}

function linesOf(...lines: readonly (string | null | undefined)[]): string {
  return lines.filter(Boolean).join('\n');
}
