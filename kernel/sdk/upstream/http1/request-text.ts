import type { Inquiry } from '../http-client.js';
import { sentBody } from '../sent-body.js';

const token = /^[\w!#$%&'*+.^`|~-]+$/;
const visible = /^[\t -~]*$/;
/** Headers that change how a request is sent. */
const ofConnection = new Set([
  ...['connection', 'content-length', 'expect', 'host', 'keep-alive', 'proxy-connection', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade'],
]);

type Headers = NonNullable<Inquiry['headers']>;

/** A request as it is sent: its head, and the body where that is large. */
export interface RequestParts {
  readonly text: string;
  readonly bytes?: Uint8Array;
}

/** Texts of requests. The head of a request with frozen headers is kept for the next one with the same URL and headers. */
export class RequestText {
  #last: { readonly href: string; readonly headers: Headers; readonly lines: string } | undefined;

  /** The parts of a request; undefined for one that is left to Node.js, which may refuse it. */
  of(url: URL, { method = 'GET', headers = none, body }: Inquiry): RequestParts | undefined {
    if (method !== 'GET' && (method !== 'POST' || body === undefined)) return undefined;
    const { href } = url;
    const last = this.#last;
    const isSame = last?.href === href && last.headers === headers;
    const lines = isSame ? last.lines : linesOf(url, headers);
    if (lines === undefined) return undefined;
    // Other headers may change until the next request, as a token does that has expired.
    if (!isSame && Object.isFrozen(headers)) this.#last = { href, headers, lines };
    if (body === undefined) return { text: `${method}${lines}\r\n` };
    const sent = sentBody(body);
    const head = `${method}${lines}Content-Length: ${Buffer.byteLength(sent)}\r\n\r\n`;
    return typeof sent === 'string' ? { text: head + sent } : { text: head, bytes: sent };
  }
}

const none: Headers = Object.freeze({});

/** The first line behind the method, and all headers but the length of the body. */
function linesOf(url: URL, headers: Headers): string | undefined {
  if (url.protocol !== 'http:' || url.username !== '' || url.password !== '') return undefined;
  let text = ` ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: keep-alive\r\n`;
  const names: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase();
    if (!token.test(name) || typeof value !== 'string' || !visible.test(value)) return undefined;
    if (ofConnection.has(key) || names.includes(key)) return undefined;
    names.push(key);
    text += `${name}: ${value}\r\n`;
  }
  return text;
}
