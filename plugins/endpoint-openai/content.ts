import type { ContentPart } from '#kernel';
import type { ChatBody } from './body.js';
import type { Part } from './parts.js';

type Content = ChatBody['messages'][number]['content'];

export interface Parts {
  readonly text: string;
  readonly images: readonly string[];
  /** All parts in order, unless there is only text. */
  readonly parts?: readonly ContentPart[];
  readonly thinking?: string;
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
}

/** Content as agents read it. */
export function contentOf(content: Content): Parts {
  if (typeof content === 'string') return { text: content, images: [] };
  const given = content ?? [];
  const parts = given.flatMap(partOf);
  const texts = parts.flatMap((part) => (part.type === 'text' ? part.text : textIn(part)));
  const images = parts.flatMap((part) => (part.type === 'image' && isHere(part.url) ? part.url : []));
  const isText = parts.every(({ type }) => type === 'text');
  const thinking = given.map(thoughtIn).join('');
  return { text: texts.join('\n'), images, ...(!isText && { parts }), ...(thinking && { thinking }) };
}

/** The image of a part, if it is one. */
export function imageIn(
  part: Part,
): { readonly url: string; readonly detail: string | undefined } | undefined {
  if (part.type === 'image') {
    const { media_type: type, data } = part.source;
    return { url: `data:${type};base64,${data}`, detail: undefined };
  }
  if (part.type !== 'image_url' && part.type !== 'input_image') return undefined;
  const { image_url: image } = part;
  if (typeof image === 'string') return { url: image, detail: part.detail ?? undefined };
  return { url: image.url, detail: image.detail ?? part.detail ?? undefined };
}

/** Whether an image is included and need not be fetched. */
export function isHere(url: string): boolean {
  return url.startsWith('data:');
}

function partOf(part: Part): readonly ContentPart[] {
  const image = imageIn(part);
  if (image) return [{ type: 'image', url: image.url, ...(image.detail && { detail: image.detail }) }];
  switch (part.type) {
    case 'text':
    case 'input_text':
    case 'output_text': {
      const { type: _, text, ...more } = part;
      const extra = Object.entries(more).filter(([key, value]) => key !== 'annotations' && value != null);
      if (extra.length === 0) return [{ type: 'text', text }];
      return [{ type: 'other', value: { type: 'text', text, ...Object.fromEntries(extra) } }];
    }
    case 'refusal':
      return [{ type: 'text', text: part.refusal }];
    case 'thinking':
    case 'reasoning':
    case 'redacted_thinking':
      return [];
    default:
      return [{ type: 'other', value: part }];
  }
}

function textIn({ ...part }: ContentPart): readonly string[] {
  return part.type === 'other' && typeof part.value.text === 'string' ? [part.value.text] : [];
}

/** The thinking of a part; some servers write it as a list of texts. */
function thoughtIn(part: Part): string {
  if (part.type === 'reasoning') return part.text ?? '';
  if (part.type !== 'thinking') return '';
  if (typeof part.thinking === 'string') return part.thinking;
  if (!Array.isArray(part.thinking)) return '';
  return part.thinking.map((each) => (typeof each?.text === 'string' ? each.text : '')).join('');
}
