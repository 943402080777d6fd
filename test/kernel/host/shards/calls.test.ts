import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type CallHandlers, Calls } from '../../../../kernel/host/shards/calls.js';
import { rejection } from '../../../support/kernel.js';

/** One end of a channel that copies messages as the real one does, and loses them where it is told to. */
class End extends EventEmitter {
  other: End | undefined;
  isLossy = false;
  failure: Error | undefined;

  send(message: object, done: (error: Error | null) => void): boolean {
    if (this.failure) done(this.failure);
    else if (!this.isLossy) {
      const text = JSON.stringify(message);
      queueMicrotask(() => this.other?.emit('message', JSON.parse(text)));
    }
    return true;
  }
}

function pair(handlers: CallHandlers) {
  const [near, far] = [new End(), new End()];
  near.other = far;
  far.other = near;
  return { near, far, calls: new Calls(near, {}), others: new Calls(far, handlers) };
}

describe('calls to another process', () => {
  it('give its answers, each to its own call', async () => {
    const { calls } = pair({
      double: async (n: number) => 2 * n,
      nothing: () => undefined,
    });
    const numbers = Array.from({ length: 500 }, (_, n) => n);
    const answers = await Promise.all(numbers.map((n) => calls.call('double', n, 5000)));
    expect(answers).toEqual(numbers.map((n) => 2 * n));
    expect(await calls.call('nothing', null, 5000)).toBeUndefined();
  });

  it.each([
    ['fails there', (): unknown => Promise.reject(new Error('not today')), 'not today'],
    [
      'throws there',
      (): unknown => {
        throw new Error('not today');
      },
      'not today',
    ],
  ])('reject where it %s', async (_, handler, message) => {
    const { calls } = pair({ it: handler });
    expect((await rejection(calls.call('it', null, 5000))).message).toBe(message);
  });

  it('reject where the answer is no JSON', async () => {
    const { calls } = pair({ it: () => 1n });
    expect((await rejection(calls.call('it', null, 5000))).message).toContain('BigInt');
    expect((await rejection(calls.call('it', 1n, 5000))).message).toContain('BigInt');
  });

  it('reject for a name that it does not know, also one of every object', async () => {
    const { calls } = pair({});
    for (const name of ['other', 'constructor', 'toString', '__proto__'])
      expect((await rejection(calls.call(name, null, 5000))).message).toContain('is unknown');
  });

  it('reject when no answer comes, when nothing can be sent, and when it is gone', async () => {
    const { near, calls } = pair({ it: () => 1 });
    near.isLossy = true;
    expect((await rejection(calls.call('it', null, 5))).message).toBe('no answer to "it" within 5 ms');
    const waiting = rejection(calls.call('it', null, 60_000));
    calls.close();
    expect((await waiting).message).toBe('the other process is gone');
    expect((await rejection(calls.call('it', null, 60_000))).message).toBe('the other process is gone');
    const cut = pair({ it: () => 1 });
    cut.near.failure = new Error('channel closed');
    expect((await rejection(cut.calls.call('it', null, 60_000))).message).toBe('channel closed');
    cut.calls.tell('it');
  });

  it('are bounded in number', async () => {
    const { near, calls } = pair({ it: () => 1 });
    near.isLossy = true;
    const waiting = Array.from({ length: 1000 }, () => rejection(calls.call('it', null, 60_000)));
    expect((await rejection(calls.call('it', null, 60_000))).message).toBe('too many calls wait');
    calls.close();
    await Promise.all(waiting);
  });

  it('take no notice of messages of others', async () => {
    const { near, calls } = pair({ it: () => 1 });
    for (const message of [null, 'text', 7, [], {}, { waggle: 'answer', id: 99 }, { act: 'online' }])
      near.emit('message', message);
    expect(await calls.call('it', null, 5000)).toBe(1);
  });
});
