import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParseError } from '../../../../../kernel/sdk/upstream/http1/parse-error.js';
import { ResponseParser } from '../../../../../kernel/sdk/upstream/http1/response-parser.js';
import { responsePieces } from '../../../../support/responses.js';
import { times } from '../../../../support/thorough.js';

/** What a parser makes of pieces, each of which it reads in the same buffer. */
function parsed(pieces: readonly Uint8Array[]): object {
  const parser = new ResponseParser();
  parser.begin();
  const buffer = Buffer.alloc(64 << 10);
  let body = '';
  let isWhole = true;
  let code: string | undefined;
  for (const piece of pieces) {
    buffer.fill('#').set(piece);
    try {
      isWhole = parser.push(buffer, piece.length);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      code = error.code;
    }
    body += buffer.toString('latin1', parser.body.from, parser.body.to);
    if (code || !isWhole || parser.isSwitch) break;
  }
  const { hasHead, isSwitch } = parser;
  const head = hasHead && { status: parser.status, headers: parser.headers };
  return {
    head,
    body,
    // What follows a switch is no part of HTTP, whether it comes with it or later.
    isWhole: isSwitch || isWhole,
    code,
    isSwitch,
    isComplete: !code && parser.end(),
    keepAlive: parser.keepAlive,
  };
}

describe('the parser of responses', () => {
  it('makes the same of the same bytes, however they are cut', () => {
    fc.assert(
      fc.property(responsePieces, (pieces) => {
        expect(parsed(pieces)).toEqual(parsed([Buffer.concat(pieces)]));
      }),
      { numRuns: times(5000) },
    );
  });

  it.each(['ollama', 'llama-server'])('reads a response of a real %s', (name) => {
    const bytes = readFileSync(new URL(`../../../../fixtures/responses/${name}.http`, import.meta.url));
    const [, type] = /Content-Type: (.*)\r\n/.exec(bytes.toString()) as RegExpExecArray;
    const expected = {
      head: { status: 200, headers: expect.objectContaining({ 'content-type': type }) },
      body: bytes
        .toString('latin1')
        .replace(/^.*?\r\n\r\n/s, '')
        .replace(/(\r\n)?[\da-f]+\r\n(\r\n$)?/g, ''),
      isComplete: true,
      keepAlive: true,
    };
    expect(parsed([bytes])).toMatchObject(expected);
    expect(parsed([...bytes].map((byte) => Uint8Array.of(byte)))).toMatchObject(expected);
  });

  it('gives the body of one read as one piece', () => {
    const parser = new ResponseParser();
    parser.begin();
    const bytes = Buffer.from(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n3\r\nde',
    );
    parser.push(bytes, bytes.length);
    expect(bytes.toString('latin1', parser.body.from, parser.body.to)).toBe('abcde');
  });
});
