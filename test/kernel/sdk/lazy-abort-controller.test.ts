import { describe, expect, it } from 'vitest';
import { LazyAbortController } from '#sdk';

describe('LazyAbortController', () => {
  it.each([
    ['before its signal is read', false],
    ['after its signal is read', true],
  ])('aborts %s, with its reason', (_, readFirst) => {
    const abort = new LazyAbortController();
    if (readFirst) expect(abort.signal.aborted).toBe(false);
    const reason = new Error('stop');
    abort.abort(reason);
    abort.abort(new Error('a second one'));
    expect(abort.isAborted()).toBe(true);
    expect(abort.signal.aborted).toBe(true);
    expect(abort.signal.reason).toBe(reason);
  });

  it('is aborted with an AbortError where no reason is given', () => {
    const abort = new LazyAbortController();
    abort.abort();
    expect(abort.signal.reason).toMatchObject({ name: 'AbortError' });
  });

  it('tells its listeners once, without a signal, but for those that have left', () => {
    const abort = new LazyAbortController();
    const told: string[] = [];
    const leaves = () => told.push('left');
    abort.onAbort(() => {
      told.push('first');
      abort.offAbort(leaves);
    });
    abort.onAbort(() => told.push('second'));
    abort.onAbort(leaves);
    abort.offAbort(leaves);
    abort.abort();
    abort.abort();
    expect(told).toEqual(['first', 'second']);
  });

  it('has one signal, which tells its listeners', () => {
    const abort = new LazyAbortController();
    let told = 0;
    abort.signal.addEventListener('abort', () => told++);
    expect(abort.signal).toBe(abort.signal);
    abort.abort();
    expect(told).toBe(1);
  });
});
