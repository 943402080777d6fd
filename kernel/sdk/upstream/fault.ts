import { isJsonObject } from '../json.js';

const depthLimit = 5;
const listLimit = 3;
/** Longer texts are cut. */
const textLimitChars = 64 << 10;

/** Keys of an error's text in the formats of servers, the most specific first. */
const textKeys = [
  ...['message', 'detail', 'details', 'msg', 'error_msg', 'error_message', 'status_msg', 'error_description'],
  ...['errors', 'error', 'reason', 'title', 'base_resp'],
];
/** An object with one of these keys and without an answer is an error. */
const errorKeys = ['detail', 'errors', 'message', 'msg', 'error_msg', 'error_message'];
const codeKeys = ['code', 'type', 'error_code', 'status', 'status_code', 'statusCode', 'error'];

/** An error that a model server has reported. */
export interface Fault {
  readonly message: string;
  /** The server's codes and types, joined with blanks. */
  readonly code: string;
  /** The HTTP status in the error, where there is one. */
  readonly status: number | undefined;
}

/** The error in a part of an answer, in any known format; undefined where there is none. */
export function faultIn(value: unknown): Fault | undefined {
  if (Array.isArray(value)) return value.length > 0 && value.every(isError) ? faultOf(value) : undefined;
  return isError(value) ? faultOf(value) : undefined;
}

/** The error in the body of an error response: JSON, a page or text. */
export function faultInBody(body: string): Fault {
  const value = parsed(body);
  if (typeof value === 'object' && value !== null) return faultOf(value);
  const text = /^\s*<(!doctype|html|head|body|\?xml)/i.test(body) ? withoutTags(body) : body;
  return faultOf(text.slice(0, textLimitChars));
}

/** Text, codes and status of an error value. */
export function faultOf(error: unknown): Fault {
  const codes: Found = { words: [], status: undefined };
  const text = textIn(error, codes, 0);
  const code = codes.words.join(' ');
  return { message: text || code || 'it gave no reason', code, status: codes.status };
}

interface Found {
  readonly words: string[];
  status: number | undefined;
}

function isError(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  if (value.error || value.object === 'error' || value.type === 'error') return true;
  if ('choices' in value || 'done' in value || 'usage' in value) return false;
  return errorKeys.some((key) => {
    const text = value[key];
    return (typeof text === 'string' && text !== '') || (Array.isArray(text) && text.length > 0);
  });
}

function textIn(value: unknown, found: Found, depth: number): string {
  if (depth > depthLimit) return '';
  if (typeof value === 'string') return unwrapped(value, found, depth);
  if (Array.isArray(value)) {
    const texts = value.slice(0, listLimit).map((each) => textIn(each, found, depth + 1));
    return texts.filter((text) => text !== '').join('; ');
  }
  if (!isJsonObject(value)) return '';
  for (const key of codeKeys) note(value[key], found);
  if (isJsonObject(value.error) || Array.isArray(value.error)) return textIn(value.error, found, depth + 1);
  let text = '';
  for (const key of textKeys) text ||= textIn(value[key], found, depth + 1);
  // FastAPI adds the location of the issue, routers the error of the server behind them.
  if (Array.isArray(value.loc) && text) return `${value.loc.join('.')}: ${text}`;
  const behind = isJsonObject(value.metadata) ? textIn(value.metadata.raw, found, depth + 1) : '';
  return behind && behind !== text ? `${text}: ${behind}` : text;
}

function note(code: unknown, found: Found): void {
  const number = typeof code === 'string' && /^\d{3}$/.test(code) ? Number(code) : code;
  if (typeof number === 'number') {
    if (number >= 400 && number <= 599) found.status ??= number;
  } else if (typeof code === 'string' && /^[\w.-]{1,64}$/.test(code) && code !== 'error')
    found.words.push(code);
}

/** The text of the JSON that a text consists of or ends with. */
function unwrapped(text: string, found: Found, depth: number): string {
  const start = text.search(/\{\s*"|\[\s*\{/);
  if (start < 0 || text.length > textLimitChars) return text;
  const value = parsed(text.slice(start, Math.max(text.lastIndexOf('}'), text.lastIndexOf(']')) + 1));
  const inner = value === undefined ? '' : textIn(value, found, depth + 1);
  return inner === '' ? text : `${text.slice(0, start)}${inner}`;
}

function withoutTags(page: string): string {
  return page
    .slice(0, textLimitChars)
    .replace(
      /<(script|style|head)\b[\s\S]*?<\/\1\s*>/gi,
      (part) => /<title[^>]*>([^<]*)/i.exec(part)?.[1] ?? ' ',
    )
    .replace(/<[^>]*>?/g, ' ')
    .replace(/&nbsp;/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Plain text.
  }
}
