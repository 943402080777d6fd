import { isJsonObject } from '../json.js';

const depthLimit = 5;
const listLimit = 3;
/** So much of a text is looked at. */
const textLimitChars = 64 << 10;

/** Where servers put the text of an error, the telling ones first. */
const textKeys = [
  ...['message', 'detail', 'details', 'msg', 'error_msg', 'error_message', 'status_msg', 'error_description'],
  ...['errors', 'error', 'reason', 'title', 'base_resp'],
];
/** An object with one of these and without an answer is an error. */
const errorKeys = ['detail', 'errors', 'message', 'msg', 'error_msg', 'error_message'];
const codeKeys = ['code', 'type', 'error_code', 'status', 'status_code', 'statusCode', 'error'];

/** An error of a model server. */
export interface Fault {
  readonly message: string;
  /** Its codes and types, in the server's words, one after the other. */
  readonly code: string;
  /** The status of HTTP that it stands for, where it says one. */
  readonly status: number | undefined;
}

/** The error in what should have been a part of an answer, in any spelling that is known; undefined where there is none. */
export function faultIn(value: unknown): Fault | undefined {
  if (Array.isArray(value)) return value.length > 0 && value.every(isError) ? faultOf(value) : undefined;
  return isError(value) ? faultOf(value) : undefined;
}

/** The same of the body of an answer whose status says that it went wrong: JSON, a page or text. */
export function faultInBody(body: string): Fault {
  const value = parsed(body);
  if (typeof value === 'object' && value !== null) return faultOf(value);
  const text = /^\s*<(!doctype|html|head|body|\?xml)/i.test(body) ? withoutTags(body) : body;
  return faultOf(text.slice(0, textLimitChars));
}

/** The text and the codes of what is known to be an error. */
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
    const told = value[key];
    return (typeof told === 'string' && told !== '') || (Array.isArray(told) && told.length > 0);
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
  // FastAPI tells where the mistake is, and routers what the server behind them said.
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

/** A text that is JSON, or ends with JSON, tells what that says. */
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
    return undefined; // Then it is a text.
  }
}
