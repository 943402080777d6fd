import type { ContentPart } from '../../contracts/agent.js';
import type { Part } from './parts.js';

/** Fields of a text in an answer, which clients send back. */
const answered = new Set(['annotations', 'logprobs']);

/** Content as clients of OpenAI's API write it. */
export type Content = string | readonly Part[] | null | undefined;

/** Content in the form of agents. */
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
  const thinking = given.map(thoughtIn).join('');
  return { ...contentFrom(given.flatMap(partOf)), ...(thinking && { thinking }) };
}

/** The same from parts that have the form of agents already. */
export function contentFrom(parts: readonly ContentPart[]): Omit<Parts, 'thinking' | 'extra'> {
  const texts = parts.flatMap((part) => (part.type === 'text' ? part.text : textIn(part)));
  const images = parts.flatMap((part) => (part.type === 'image' && isHere(part.url) ? part.url : []));
  const isText = parts.every(({ type }) => type === 'text');
  return { text: texts.join('\n'), images, ...(!isText && { parts }) };
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

/** Whether a part is a text that is sent as a file, which every agent can read. */
export function isTextFile(part: Part): boolean {
  if (part.type !== 'file' && part.type !== 'input_file') return false;
  const { file_data: data } = fileIn(part);
  return typeof data === 'string' && textFile.test(data);
}

/** The text of such a file, under its name. */
function textOfFile({ file_data: data, filename }: FileFields): string {
  const [, base64 = ''] = (data as string).split(',', 2);
  const text = Buffer.from(base64, 'base64').toString();
  return typeof filename === 'string' && filename !== '' ? `${filename}:\n\n${text}` : text;
}

/** The beginning of a data URL with text. */
const textFile =
  /^data:(?:text\/[\w.+-]+|application\/(?:[\w.+-]+\+)?(?:json|xml|yaml))(?:;charset=utf-8)?;base64,/i;

interface FileFields {
  readonly file_data?: unknown;
  readonly filename?: unknown;
}

/** The fields of a file: of Chat Completions in an object of their own, of Responses beside the type. */
function fileIn({ type: _, ...part }: Part): FileFields {
  const { file, ...fields } = part as { readonly file?: FileFields };
  return file ?? fields;
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
      const extra = Object.entries(more).filter(([key, value]) => value != null && !answered.has(key));
      if (extra.length === 0) return [{ type: 'text', text }];
      return [{ type: 'other', value: { type: 'text', text, ...Object.fromEntries(extra) } }];
    }
    case 'refusal':
      return [{ type: 'text', text: part.refusal }];
    case 'thinking':
    case 'reasoning':
    case 'redacted_thinking':
      return [];
    case 'file':
    case 'input_file': {
      const file = fileIn(part);
      if (isTextFile(part)) return [{ type: 'text', text: textOfFile(file) }];
      // Agents read parts of Chat Completions.
      return [{ type: 'other', value: { type: 'file', file } }];
    }
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
