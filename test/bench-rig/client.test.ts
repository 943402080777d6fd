import { describe, expect, it } from 'vitest';
import { contentBytes, corpusTokens, textOf, tokens } from '../bench/answers/corpus.mjs';
import { dialects, eachFrame, maskedFrame } from '../bench/client/frames.mjs';
import { percentiles } from '../bench/client/percentile.mjs';
import { CountedStream } from '../bench/client/stream.mjs';

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

function mistakeOf(contents: readonly string[], count: number): string | undefined {
  let result: string | undefined = 'it has not ended';
  const stream = new CountedStream(dialects.waggle, count, (mistake: string | undefined) => {
    result = mistake;
  });
  const frames = [
    { type: 'streaming_start', streamId },
    ...contents.map((content) => ({ type: 'streaming_token', streamId, content })),
    { type: 'streaming_end', streamId },
  ];
  for (const frame of frames) {
    const bytes = Buffer.from(JSON.stringify(frame));
    stream.text(bytes, 0, bytes.length);
  }
  return result;
}
