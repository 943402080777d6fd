import { describe, expect, it } from 'vitest';
import type { AgentHealth, StreamChunk } from '#kernel';
import {
  type Exchange,
  ModelError,
  type PieceListener,
  type PieceReader,
  type PieceSource,
  type Pieces,
  UpstreamAgent,
} from '#sdk/upstream';
import { agentCall } from '../../../support/agents.js';
import { silentLogger } from '../../../support/kernel.js';

/** A source that a test feeds. What comes before it is pulled stays ready. */
class ScriptedSource implements PieceSource<string> {
  readonly ready: ((listener: PieceListener<string>) => void)[] = [];
  isStopped = false;
  #waiting: PieceListener<string> | undefined;

  pull(listener: PieceListener<string>): void {
    const next = this.ready.shift();
    if (next) next(listener);
    else this.#waiting = listener;
  }

  stop(): void {
    this.isStopped = true;
  }

  #push(tell: (listener: PieceListener<string>) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) tell(waiting);
    else this.ready.push(tell);
  }

  pieces(...values: string[]): void {
    this.#push((listener) => listener.onPieces({ values }));
  }

  malformed(pieces: Pieces<string>): void {
    this.#push((listener) => listener.onPieces(pieces));
  }

  end(): void {
    this.#push((listener) => listener.onEnd());
  }

  lost(error: Error): void {
    this.#push((listener) => listener.onError(error));
  }
}

/** Each piece is a text; `.` ends the answer, and an empty one has no chunk. */
class WordReader implements PieceReader<string> {
  over = false;

  read(piece: string, chunks: StreamChunk[]): void {
    if (piece === 'bad') throw new ModelError('a fault of the model');
    if (piece === '.') {
      this.over = true;
      chunks.push({ type: 'done', reason: 'stop' });
    } else if (piece !== '') chunks.push({ type: 'text', content: piece });
  }
}

class ScriptedAgent extends UpstreamAgent<string> {
  readonly source = new ScriptedSource();
  asked = 0;
  opening: Promise<void> = Promise.resolve();

  constructor() {
    const server = {
      agent: 'scripted',
      server: 'Scripted',
      url: new URL('http://127.0.0.1:1'),
      advice: '',
      noModel: '',
    };
    super(server, { connectTimeoutMs: 1000, firstTokenTimeoutMs: 60_000, tokenTimeoutMs: 60_000 });
  }

  protected async ask(_exchange: Exchange): Promise<PieceSource<string>> {
    this.asked++;
    await this.opening;
    return this.source;
  }

  protected reader(): PieceReader<string> {
    return new WordReader();
  }

  protected override knownModel(): string {
    return 'model';
  }

  protected async list(): Promise<readonly string[]> {
    return ['model'];
  }

  protected async preferredModel(): Promise<string> {
    return 'model';
  }

  protected async check(): Promise<AgentHealth> {
    return { healthy: true };
  }
}

const text = (content: string) => ({ type: 'text', content });
const end = { type: 'done', reason: 'stop' };

describe('an answer of a model server', () => {
  const start = () => {
    const agent = new ScriptedAgent();
    const abort = new AbortController();
    const call = agentCall({ signal: abort.signal, logger: silentLogger });
    const request = { id: 'id', messages: [{ role: 'user' as const, content: 'hi' }] };
    return { agent, source: agent.source, abort, answer: agent.generateResponseStream(request, call) };
  };

  it('is asked for by the first pull, and gives the chunks of one read at a time', async () => {
    const { agent, source, answer } = start();
    expect(agent.asked).toBe(0);
    const first = answer.next();
    expect(agent.asked).toBe(1);
    source.pieces('a', 'b');
    expect(await first).toEqual({ done: false, value: [text('a'), text('b')] });
    source.pieces('c', '.', 'after the end');
    expect(await answer.next()).toEqual({ done: false, value: [text('c'), end] });
    expect(await answer.next()).toEqual({ done: true, value: undefined });
    expect(await answer.next()).toEqual({ done: true, value: undefined });
    expect(source.isStopped).toBe(true);
  });

  it('answers several pulls at once in their order', async () => {
    const { source, answer } = start();
    const pulls = [answer.next(), answer.next(), answer.next(), answer.next()];
    source.pieces('a');
    source.pieces('b');
    source.pieces('.');
    expect(await Promise.all(pulls)).toEqual([
      { done: false, value: [text('a')] },
      { done: false, value: [text('b')] },
      { done: false, value: [end] },
      { done: true, value: undefined },
    ]);
  });

  it('passes over any number of reads without a chunk', async () => {
    const { source, answer } = start();
    for (let count = 0; count < 5000; count++) source.pieces('');
    source.pieces('a');
    expect(await answer.next()).toEqual({ done: false, value: [text('a')] });
  });

  it.each([
    ['a lost connection', 'AGENT_DISCONNECTED', (source: ScriptedSource) => source.lost(new Error('lost'))],
    ['an end without `done`', 'AGENT_DISCONNECTED', (source: ScriptedSource) => source.end()],
    ['a fault of the model', 'AGENT_FAILED', (source: ScriptedSource) => source.pieces('bad')],
  ])('ends with %s, after all chunks before it', async (_name, code, fail) => {
    const { source, answer } = start();
    source.pieces('a');
    fail(source);
    expect(await answer.next()).toEqual({ done: false, value: [text('a')] });
    await expect(answer.next()).rejects.toMatchObject({ code });
    expect(await answer.next()).toEqual({ done: true, value: undefined });
    expect(source.isStopped).toBe(true);
  });

  it('gives the chunks of a read before the error in it', async () => {
    const { source, answer } = start();
    source.pieces('a', 'bad', 'b');
    expect(await answer.next()).toEqual({ done: false, value: [text('a')] });
    await expect(answer.next()).rejects.toMatchObject({ code: 'AGENT_FAILED' });
  });

  it('ends with the exception of a source', async () => {
    const { source, answer } = start();
    source.ready.push(() => {
      throw new Error('a bug');
    });
    await expect(answer.next()).rejects.toMatchObject({ code: expect.stringMatching(/^AGENT_/) });
    expect(source.isStopped).toBe(true);
  });

  it('ends with the reason of an abort', async () => {
    const { source, answer, abort } = start();
    const waiting = answer.next();
    const reason = new Error('enough');
    abort.abort(reason);
    source.lost(new Error('closed'));
    await expect(waiting).rejects.toBe(reason);
    expect(await answer.next()).toEqual({ done: true, value: undefined });
  });

  it('is left at any time: a pull that waits ends as well', async () => {
    const { source, answer } = start();
    const first = answer.next();
    source.pieces('a');
    await first;
    const waiting = answer.next();
    expect(await answer.return?.()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(source.isStopped).toBe(true);
    source.pieces('late');
    expect(await answer.next()).toEqual({ done: true, value: undefined });
  });

  it('is left before it has begun', async () => {
    const { agent, answer } = start();
    await answer.return?.();
    expect(await answer.next()).toEqual({ done: true, value: undefined });
    expect(agent.asked).toBe(0);
  });

  it('is left while it is being opened', async () => {
    const { agent, source, answer } = start();
    let open = () => {};
    agent.opening = new Promise((resolve) => {
      open = resolve;
    });
    const waiting = answer.next();
    await answer.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    open();
    await agent.opening;
    await expect.poll(() => source.isStopped).toBe(true);
  });
});
