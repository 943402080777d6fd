import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentBytes, corpusTokens, textOf, tokens } from '../bench/answers/corpus.mjs';
import { Asking } from '../bench/client/asking.mjs';
import { ChunkedReader } from '../bench/client/chunked-reader.mjs';
import { dialects, eachFrame, maskedFrame } from '../bench/client/frames.mjs';
import { LineReader } from '../bench/client/line-reader.mjs';
import { percentiles } from '../bench/client/percentile.mjs';
import { CountedStream, JoinedStream, TimedStream } from '../bench/client/stream.mjs';

const streamId = 'x'.repeat(24);

describe('the text that all stream', () => {
  it('has tokens of the promised kinds', () => {
    const share = (test: (token: string) => boolean) => tokens.filter(test).length / tokens.length;
    const chars = tokens.reduce((sum: number, token: string) => sum + token.length, 0) / tokens.length;
    expect(chars).toBeGreaterThan(4);
    expect(chars).toBeLessThan(6);
    expect(share((token) => JSON.stringify(token).includes('\\'))).toBeCloseTo(0.05, 1);
    expect(share((token) => /[^\0-\x7f]/.test(token))).toBeCloseTo(0.1, 1);
  });

  it('is counted in bytes of JSON, also where it begins anew', () => {
    const count = corpusTokens + 3;
    const bytes = Buffer.byteLength(JSON.stringify(textOf(count))) - 2;
    expect(contentBytes(count)).toBe(bytes);
  });
});

describe('the client', () => {
  it('finds frames of every length, and stops at what is not whole', () => {
    const payloads = ['', 'a'.repeat(125), 'b'.repeat(126), 'c'.repeat(70_000)];
    const bytes = Buffer.concat(payloads.map(serverFrame));
    const seen: number[] = [];
    const rest = eachFrame(bytes, bytes.length - 1, (_: number, __: Buffer, from: number, to: number) =>
      seen.push(to - from),
    );
    expect(seen).toEqual([0, 125, 126]);
    expect(bytes.length - rest).toBe(70_010);
  });

  it('masks what it sends, with a mask that changes nothing', () => {
    expect([...maskedFrame('hi')]).toEqual([0x81, 0x82, 0, 0, 0, 0, 104, 105]);
    expect(maskedFrame('x'.repeat(200)).subarray(0, 4)).toEqual(Buffer.from([0x81, 0xfe, 0, 200]));
  });

  it('takes a stream for whole that is, merged or not, and no other', () => {
    const merged = [tokens[0], tokens[1] + tokens[2]];
    expect(mistakeOf(tokens.slice(0, 3), 3)).toBeUndefined();
    expect(mistakeOf(merged, 3)).toBeUndefined();
    expect(mistakeOf(tokens.slice(0, 2), 3)).toContain('bytes of content');
    expect(mistakeOf([...tokens.slice(0, 2), ''], 2)).toContain('3 frames for 2 tokens');
  });

  it('reads chunked answers and their lines, wherever a read ends', () => {
    const long = 'x'.repeat(300);
    const lines = ['{"a":"ä"}', long, '', 'end'];
    const parts = ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'];
    // The second line is spread over two chunks, the last ones share a chunk.
    for (const data of [`${lines[0]}\n`, long.slice(0, 100), `${long.slice(100)}\n`, '\nend\n'])
      parts.push(`${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`);
    parts.push('0\r\n\r\n');
    const answer = Buffer.from(parts.join(''));
    const two = Buffer.concat([answer, answer]);
    fc.assert(
      fc.property(fc.array(fc.nat(two.length), { maxLength: 12 }), (cuts) => {
        const seen: string[] = [];
        let ends = 0;
        const lineReader = new LineReader((bytes: Buffer, from: number, to: number) =>
          seen.push(bytes.toString('utf8', from, to)),
        );
        const reader = new ChunkedReader(
          (bytes: Buffer, from: number, to: number) => lineReader.read(bytes, from, to),
          () => ends++,
        );
        const shared = Buffer.alloc(two.length);
        const places = [0, ...cuts.sort((a, b) => a - b), two.length];
        for (let at = 1; at < places.length; at++)
          reader.read(shared, two.copy(shared, 0, places[at - 1], places[at]));
        expect(seen).toEqual([...lines, ...lines]);
        expect(ends).toBe(2);
      }),
    );
  });

  it('refuses a chunk without a size', () => {
    const reader = new ChunkedReader(() => {});
    const bytes = Buffer.from('HTTP/1.1 200 OK\r\n\r\nhello\r\n');
    expect(() => reader.read(bytes, bytes.length)).toThrow('not the size of a chunk: h');
  });

  it('asks again until it is told to stop, and adds up its answers', async () => {
    let asked = 0;
    const total = await new Promise((resolve) => {
      const asking = new Asking([{}], () => {
        if (++asked === 3) resolve(asking.finish());
        return answerOf({});
      });
    });
    expect(total).toEqual({ streams: 3, tokens: 6, frames: 6, issues: [], firstUs: [7, 7, 7] });
  });

  it('stops asking when an answer is not whole', async () => {
    let asked = 0;
    const total = await new Promise((resolve) => {
      const asking = new Asking([{}], () => {
        const answer = answerOf({ mistake: ++asked === 2 ? '0 starts' : undefined });
        // Later than the next question, if there were one.
        if (asked === 2) void answer.end.then(() => setImmediate(() => resolve(asking.finish())));
        return answer;
      });
    });
    expect(total).toMatchObject({ streams: 2, tokens: 2, issues: ['0 starts'] });
  });

  it('knows when the first token of an answer came', () => {
    const stream = new TimedStream(dialects.waggle, 2, () => {});
    const firsts = framesOf(tokens.slice(0, 2)).map((frame) => {
      stream.text(frame, 0, frame.length);
      return stream.firstUs;
    });
    expect(firsts[0]).toBeUndefined();
    expect(firsts[1]).toBeGreaterThan(0);
    expect(firsts[3]).toBe(firsts[1]);
  });

  it('knows the id of a stream that others join, and when there will be none', async () => {
    const stream = new JoinedStream(dialects.waggle, 1, () => {}, 0);
    const [start] = framesOf([]) as [Buffer];
    stream.text(start, 0, start.length);
    await stream.begun;
    expect(stream.streamId).toBe(streamId);

    const refused = new JoinedStream(dialects.waggle, 1, () => {}, 0);
    const error = Buffer.from('{"type":"error","code":"STREAM_GONE","message":"gone"}');
    refused.text(error, 0, error.length);
    await refused.begun;
    expect(refused.streamId).toBeUndefined();
  });

  it('knows percentiles by rank', () => {
    const numbers = Array.from({ length: 1000 }, (_, index) => 1000 - index);
    expect(percentiles(numbers)).toEqual({ p50: 500, p99: 990, p999: 999 });
  });
});

function serverFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.from([0x81, length]), payload]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = 0x81;
  head[1] = length < 65_536 ? 126 : 127;
  if (length < 65_536) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

const answerOf = ({ mistake }: { readonly mistake?: string | undefined }) => ({
  stream: { frames: 2, tokens: 2, firstUs: 7 },
  end: new Promise((resolve) => setImmediate(() => resolve({ mistake }))),
});

function framesOf(contents: readonly string[]): readonly Buffer[] {
  return [
    { type: 'streaming_start', streamId },
    ...contents.map((content) => ({ type: 'streaming_token', streamId, content })),
    { type: 'streaming_end', streamId },
  ].map((frame) => Buffer.from(JSON.stringify(frame)));
}

function mistakeOf(contents: readonly string[], count: number): string | undefined {
  let result: string | undefined = 'it has not ended';
  const stream = new CountedStream(dialects.waggle, count, (mistake: string | undefined) => {
    result = mistake;
  });
  for (const bytes of framesOf(contents)) stream.text(bytes, 0, bytes.length);
  return result;
}
