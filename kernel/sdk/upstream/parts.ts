import { PieceError } from './pieces.js';

/** Kind of a content part. */
export type ContentKind = 'text' | 'thinking' | 'refusal';

type Fields = Readonly<Record<string, unknown>>;

const kinds: Readonly<Record<string, ContentKind>> = {
  text: 'text',
  output_text: 'text',
  input_text: 'text',
  thinking: 'thinking',
  reasoning: 'thinking',
  reasoning_text: 'thinking',
  'reasoning.text': 'thinking',
  'reasoning.summary': 'thinking',
  summary_text: 'thinking',
  refusal: 'refusal',
};

const depthLimit = 4;

/**
 * Calls `onText` with the texts of content that is a part or a list of parts. Skips parts of other kinds; a part without a
 * type is of `kind`. @throws PieceError
 */
export function readParts(
  content: unknown,
  kind: ContentKind,
  onText: (kind: ContentKind, text: string) => void,
  depth = 0,
): void {
  if (content === null || content === undefined || depth > depthLimit) return;
  if (typeof content === 'string') {
    if (content !== '') onText(kind, content);
  } else if (Array.isArray(content)) for (const part of content) readParts(part, kind, onText, depth + 1);
  else if (typeof content === 'object') readPart(content as Fields, kind, onText, depth);
  else throw new PieceError('a field of the answer has the wrong type');
}

function readPart(
  part: Fields,
  kind: ContentKind,
  onText: (kind: ContentKind, text: string) => void,
  depth: number,
): void {
  const { type = kind } = part;
  const own = typeof type === 'string' && Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  if (!own) return;
  // Everything inside thinking is thinking.
  const inner = kind === 'thinking' ? kind : own;
  const said = part.text ?? part.thinking ?? part.reasoning ?? part.refusal ?? part.summary ?? part.value;
  if (typeof said === 'object' && said !== null && !Array.isArray(said) && 'value' in said)
    readParts(said.value, inner, onText, depth + 1);
  else readParts(said, inner, onText, depth + 1);
}
