import type { ChatRequest } from '../../contracts/agent.js';
import { randomId } from '../random-id.js';

const longChars = 64 * 1024;
/** Anything that JSON escapes, or that has more than one byte. */
const notPlain = /[^ !#-[\]-~]/;

/**
 * The body of a request to a model server. The texts of pictures go straight into its bytes, where `JSON.stringify` would
 * copy them several times. `finish` is applied to the JSON around them.
 */
export function jsonBody(
  { messages }: ChatRequest,
  body: object,
  finish: (json: string) => string = (json) => json,
): string | Uint8Array {
  const isLong = messages.some(({ content, images, parts }) => images || parts || content.length > longChars);
  if (!isLong) return finish(JSON.stringify(body));
  const mark = randomId();
  const texts: string[] = [];
  const json = JSON.stringify(body, (_, value: unknown) => {
    if (typeof value !== 'string' || value.length <= longChars || notPlain.test(value)) return value;
    return `${mark}:${texts.push(value) - 1}`;
  });
  return texts.length === 0 ? finish(json) : filled(finish(json), mark, texts);
}

/** The bytes of a text with others in the place of their marks. */
function filled(json: string, mark: string, texts: readonly string[]): Uint8Array {
  const [first = '', ...rest] = json.split(new RegExp(`${mark}:(\\d+)`));
  // Behind the first piece come a number and a piece, again and again.
  const pieces = [
    Buffer.from(first),
    ...rest.map((piece, place) => (place % 2 === 0 ? (texts[Number(piece)] as string) : Buffer.from(piece))),
  ];
  const all = Buffer.allocUnsafeSlow(pieces.reduce((bytes, { length }) => bytes + length, 0));
  let at = 0;
  for (const each of pieces)
    at += typeof each === 'string' ? all.write(each, at, 'latin1') : each.copy(all, at);
  return all;
}
