import type { Inquiry } from '../http-client.js';

const token = /^[\w!#$%&'*+.^`|~-]+$/;
const visible = /^[\t -~]*$/;
/** Headers that change how a request is sent. */
const ofConnection = new Set([
  ...['connection', 'content-length', 'expect', 'host', 'keep-alive', 'proxy-connection', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade'],
]);

/** The text of a request; undefined for one that is left to Node.js, which may refuse it. */
export function requestText(url: URL, { method = 'GET', headers = {}, body }: Inquiry): string | undefined {
  if (url.protocol !== 'http:' || url.username !== '' || url.password !== '') return undefined;
  if (method !== 'GET' && (method !== 'POST' || body === undefined)) return undefined;
  let text = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: keep-alive\r\n`;
  const names: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase();
    if (!token.test(name) || typeof value !== 'string' || !visible.test(value)) return undefined;
    if (ofConnection.has(key) || names.includes(key)) return undefined;
    names.push(key);
    text += `${name}: ${value}\r\n`;
  }
  if (body !== undefined) text += `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  return `${text}\r\n${body ?? ''}`;
}
