import fc from 'fast-check';

const often = <T>(usual: T, ...others: readonly T[]) =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(usual) }, fc.constantFrom(usual, ...others));

const header = fc.constantFrom(
  ...['Content-Type: text/plain', 'X-A: b', 'x-a:c', 'X-Empty:', 'X-Blanks: \t a b \t ', 'X-High: \xe9\xff'],
  ...['Retry-After: 3', 'Retry-After: 4', 'Set-Cookie: a', 'Set-Cookie: b', 'Cookie: a', 'Cookie: b'],
  ...['Connection: close', 'connection: Keep-Alive', 'Connection: x, close', 'Proxy-Connection: close'],
  ...['Keep-Alive: timeout=5', 'Upgrade: x', 'Connection: upgrade', 'X-Folded: a\r\n b'],
  ...['Content-Length: 5', 'content-length: 0 ', 'Transfer-Encoding: chunked', 'Transfer-Encoding: gzip'],
  ...['transfer-encoding: gzip, Chunked', 'Transfer-Encoding: chunked, gzip', 'Transfer-Encoding: chunked '],
);

const extension = often('', ';a', ';a=b', ';a="b;c"', ';a="\\"";b', ' ', ';', ';a=', '; a', ';a\x01');
const data = fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', '\xff'), maxLength: 30 });
const chunk = fc.tuple(data, fc.constantFrom('', '0', '00'), extension).map(([text, zeros, more]) => {
  return `${zeros}${text.length.toString(16)}${more}\r\n${text}\r\n`;
});
const trailers = often(
  '',
  'A: b\r\n',
  'Connection: close\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: x\r\n',
);

/** The headers that frame a body, and the body. */
const framed = fc.oneof(
  fc.tuple(fc.array(chunk, { maxLength: 4 }), trailers, often('\r\n', '')).map(([chunks, more, end]) => {
    const isEmptyBefore = chunks.findIndex((each) => /^0+[;\s]/.test(each));
    const whole = isEmptyBefore < 0 ? chunks : chunks.slice(0, isEmptyBefore);
    return ['Transfer-Encoding: chunked\r\n', `${whole.join('')}0\r\n${more}${end}`] as const;
  }),
  fc.tuple(data, often('', '\r\n', 'x')).map(([text, more]) => {
    return [`Content-Length: ${text.length}\r\n`, `${text}${more}`] as const;
  }),
  data.map((text) => ['', text] as const),
);

const statusLine = fc
  .tuple(
    often('', '\r\n', '\n\r\n'),
    often('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.2', 'http/1.1'),
    often('200 OK', '200', '500 ', '404 Not Found', '302 Found', '204 X', '304 X', '101 X', '000 X', '99 X'),
  )
  .map(([before, version, status]) => `${before}${version} ${status}`);

const informational = often(
  '',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.0 103 X\r\n\r\n',
  'HTTP/1.1 103 X\r\nA: b\r\n\r\n',
);

/** A response that is valid in most cases, in latin1. */
const written = fc
  .tuple(informational, statusLine, fc.array(header, { maxLength: 3 }), framed)
  .map(([before, line, headers, [framing, body]]) => {
    return `${before}${line}\r\n${headers.map((each) => `${each}\r\n`).join('')}${framing}\r\n${body}`;
  });

const change = fc.record({
  at: fc.nat(),
  drops: fc.nat({ max: 3 }),
  puts: fc.string({
    unit: fc.constantFrom('\0', '\t', '\n', '\r', ' ', '"', ':', ';', '0', 'a', '\x7f', '\xff'),
    maxLength: 2,
  }),
});

/** The bytes of a response, valid or broken, in pieces. */
export const responsePieces = fc
  .tuple(
    written,
    fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(change, { minLength: 1, maxLength: 3 })),
    fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, fc.nat()),
    fc.oneof(fc.constant([]), fc.array(fc.nat(), { maxLength: 8 }), fc.constant('every byte' as const)),
  )
  .map(([text, changes, endsAt, cuts]) => {
    let all = text;
    for (const { at, drops, puts } of changes) {
      const from = at % (all.length + 1);
      all = `${all.slice(0, from)}${puts}${all.slice(from + drops)}`;
    }
    if (endsAt !== undefined) all = all.slice(0, endsAt % (all.length + 1));
    return cut(Buffer.from(all, 'latin1'), cuts);
  });

function cut(bytes: Buffer, cuts: readonly number[] | 'every byte'): readonly Buffer[] {
  const places =
    cuts === 'every byte'
      ? [...bytes.keys()]
      : cuts.map((each) => each % (bytes.length + 1)).sort((a, b) => a - b);
  return [...places, bytes.length]
    .map((to, place, all) => bytes.subarray(all[place - 1] ?? 0, to))
    .filter(({ length }) => length > 0);
}
