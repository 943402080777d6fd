import { describe, expect, it, vi } from 'vitest';
import type { CallContext } from '#kernel';
import { cancellationOf, LazyAbortController, LazyAgentCall } from '#sdk';
import { silentLogger } from '../../../kernel/logger.js';

function lazyCall() {
  const abort = new LazyAbortController();
  const signal = vi.spyOn(abort, 'signal', 'get');
  const logger = vi.fn(() => silentLogger);
  const source = {
    abort,
    get logger() {
      return logger();
    },
  };
  const call: CallContext = new LazyAgentCall(source, { timeoutMs: 40, headers: { traceparent: '00-1' } });
  return { abort, signal, logger, call };
}

/** The ways in which wrappers of agents pass a call on, with a signal of their own where there is one. */
const derived: readonly [name: string, derive: (call: CallContext, own?: AbortSignal) => CallContext][] = [
  ['itself', (call, own) => (own ? { ...call, signal: own } : call)],
  ['a spread', (call, own) => ({ ...call, ...(own && { signal: own }) })],
  ['Object.assign', (call, own) => Object.assign({}, call, own && { signal: own })],
  ['its fields', ({ signal, logger }, own) => ({ signal: own ?? signal, logger })],
  ['Object.create', (call, own) => Object.create(call, own ? { signal: { value: own } } : {}) as CallContext],
  [
    'a Proxy',
    (call, own) =>
      new Proxy(call, {
        get: (target, key, receiver) =>
          own && key === 'signal' ? own : (Reflect.get(target, key, receiver) as unknown),
      }),
  ],
];

describe('LazyAgentCall', () => {
  it('creates neither signal nor logger until an agent reads them', () => {
    const { abort, signal, logger, call } = lazyCall();
    expect(call).toMatchObject({ timeoutMs: 40, headers: { traceparent: '00-1' } });
    const cancellation = cancellationOf(call);
    const heard = vi.fn();
    cancellation.onAbort(heard);
    expect(cancellation.isAborted()).toBe(false);
    abort.abort();
    expect(cancellation.isAborted()).toBe(true);
    expect(heard).toHaveBeenCalledTimes(1);
    expect(signal).not.toHaveBeenCalled();
    expect(logger).not.toHaveBeenCalled();
    expect(call.signal.aborted).toBe(true);
    expect(call.logger).toBe(silentLogger);
  });

  it.each(derived)('passes signal and logger on by %s', (_, derive) => {
    const { abort, call } = lazyCall();
    const passed = derive(call);
    const heard = vi.fn();
    cancellationOf(passed).onAbort(heard);
    expect(passed.logger).toBe(silentLogger);
    expect(passed.signal.aborted).toBe(false);
    abort.abort();
    expect(passed.signal.aborted).toBe(true);
    expect(cancellationOf(passed).isAborted()).toBe(true);
    expect(heard).toHaveBeenCalledTimes(1);
  });

  it.each(derived)('gives way to the signal of a wrapper that passes it on by %s', (_, derive) => {
    const { abort, call } = lazyCall();
    const own = new AbortController();
    const passed = derive(call, own.signal);
    const heard = vi.fn();
    cancellationOf(passed).onAbort(heard);
    abort.abort();
    expect(heard).not.toHaveBeenCalled();
    expect(cancellationOf(passed).isAborted()).toBe(false);
    own.abort();
    expect(heard).toHaveBeenCalledTimes(1);
    expect(passed.signal.aborted).toBe(true);
  });
});

describe('cancellationOf', () => {
  it('never aborts what has no signal', () => {
    const cancellation = cancellationOf({});
    cancellation.onAbort(() => {});
    cancellation.offAbort(() => {});
    expect(cancellation.isAborted()).toBe(false);
  });
});
