import { readFileSync } from 'node:fs';

/** Good requests, frames and responses; everything sent is made from them. */
export const requests = read('requests');
export const frames = read('frames');
export const responses = read('responses').map((text) => Buffer.from(text, 'latin1'));

/** A request as bytes. What it does not say is added, so that it is whole. */
export function bytesOf({ method, path, headers = {}, body }, port, more = {}) {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const all = {
    host: `127.0.0.1:${port}`,
    ...(body === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    ...headers,
    ...more,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`);
}

/** A masked text frame as bytes (RFC 6455, 5.2); the mask is all zeros. */
export function frameBytesOf(text) {
  const data = Buffer.from(text);
  const head = data.length < 126 ? Buffer.from([0x81, 0x80 | data.length]) : Buffer.from([0x81, 0xfe, 0, 0]);
  if (data.length >= 126) head.writeUInt16BE(data.length, 2);
  return Buffer.concat([head, Buffer.alloc(4), data]);
}

function read(name) {
  const text = readFileSync(new URL(`corpus/${name}.jsonl`, import.meta.url), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}
