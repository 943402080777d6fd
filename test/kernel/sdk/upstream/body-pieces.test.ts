import { describe, expect, it } from 'vitest';
import { BodyPieces, type BodySink, type PieceSplitter, type Pieces } from '#sdk/upstream';

/** A body that a test pushes, and how its reader has steered it. */
class ScriptedBody {
  readonly calls: string[] = [];
  sink!: BodySink;
  /** Pushed when it is resumed. */
  later: Uint8Array | undefined;

  read(sink: BodySink): void {
    this.sink = sink;
  }

  pause(): void {
    this.calls.push('pause');
  }

  resume(): void {
    this.calls.push('resume');
    const { later } = this;
    this.later = undefined;
    if (later) this.sink.onBytes(later);
  }
}

const words: PieceSplitter<string> = {
  push: (bytes) => ({ values: Buffer.from(bytes).toString().split(' ').filter(Boolean) }),
  end: () => ({ values: [] }),
};

/** As a promise; undefined at the end. */
const next = (pieces: BodyPieces<string>) =>
  new Promise<Pieces<string> | undefined>((resolve, reject) => {
    pieces.pull({ onPieces: resolve, onEnd: () => resolve(undefined), onError: reject });
  });

describe('the pieces of a body', () => {
  const start = (splitter = words) => {
    const body = new ScriptedBody();
    return { body, pieces: new BodyPieces(body, splitter) };
  };

  it('come as they are read, and the body rests while nobody pulls', async () => {
    const { body, pieces } = start();
    const first = next(pieces);
    body.sink.onBytes(Buffer.from('a b'));
    expect(await first).toEqual({ values: ['a', 'b'] });
    body.sink.onBytes(Buffer.from('c'));
    expect(body.calls).toEqual(['pause']);
    expect(await next(pieces)).toEqual({ values: ['c'] });
    expect(body.calls).toEqual(['pause']);
    body.later = Buffer.from('d');
    expect(await next(pieces)).toEqual({ values: ['d'] });
    expect(body.calls).toEqual(['pause', 'resume', 'pause']);
    body.sink.onEnd();
    expect(await next(pieces)).toBeUndefined();
  });

  it('show that something was read, if only to whoever waits', async () => {
    const { body, pieces } = start();
    const waiting = next(pieces);
    body.sink.onBytes(Buffer.from(' '));
    expect(await waiting).toEqual({ values: [] });
    body.sink.onBytes(Buffer.from(' '));
    body.sink.onEnd();
    expect(await next(pieces)).toBeUndefined();
  });

  it('come before the error after them', async () => {
    const { body, pieces } = start();
    body.sink.onBytes(Buffer.from('a'));
    body.sink.onError(new Error('lost'));
    expect(await next(pieces)).toEqual({ values: ['a'] });
    await expect(next(pieces)).rejects.toThrow('lost');
  });

  it.each(['push', 'end'] as const)('end with the exception of a splitter in `%s`', async (method) => {
    const broken = () => {
      throw new Error('a bug');
    };
    const { body, pieces } = start({ ...words, [method]: broken });
    const waiting = next(pieces);
    if (method === 'push') body.sink.onBytes(Buffer.from('a'));
    else body.sink.onEnd();
    expect(await waiting).toMatchObject({ error: { message: 'a bug' } });
  });

  it('are none once their reader has stopped', async () => {
    const { body, pieces } = start();
    pieces.stop();
    body.sink.onBytes(Buffer.from('a'));
    body.sink.onEnd();
    expect(await next(pieces)).toBeUndefined();
  });
});
