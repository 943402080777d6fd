// What parsers of HTTP and of WebSocket frames decide by.
const telling = [
  ...[
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
    '\0',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '0',
    '-1',
    '\x7f',
    '\xff',
    '%',
    '?',
    '//',
    '\x0b',
  ],
  ...[
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Expect: 100-continue\r\n',
    'Connection: close\r\n',
  ],
  ...[
    'Host: a\r\n',
    'Upgrade: h2c\r\n',
    '5\r\nHallo\r\n0\r\n\r\n',
    'HTTP/1.0',
    'PRI * HTTP/2.0',
    'x'.repeat(5000),
  ],
  ...[
    '\x81\xff',
    '\x88\x80\0\0\0\0',
    '\x89\x80\0\0\0\0',
    '\x01\x85\0\0\0\0',
    '\x80\x80\0\0\0\0',
    '\x82\x81\0\0\0\0a',
  ],
].map((text) => Buffer.from(text, 'latin1'));

/** Up to eight changes: a byte, something inserted, something left out, or a part that comes twice. */
export function mutateBytes(bytes, random) {
  let all = bytes;
  for (let left = random.below(9); left > 0; left--) {
    const from = random.below(all.length + 1);
    const to = Math.min(all.length, from + random.below(40));
    const [before, middle, after] = [all.subarray(0, from), all.subarray(from, to), all.subarray(to)];
    const other = random.pick([
      () => [before, Buffer.from([random.below(256)]), all.subarray(from + 1)],
      () => [before, random.pick(telling), middle, after],
      () => [before, after],
      () => [before, middle, middle, after],
      () => [before, random.pick(telling), after],
    ])();
    all = Buffer.concat(other);
  }
  return all;
}
