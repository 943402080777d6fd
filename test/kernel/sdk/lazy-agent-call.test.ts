import { describe, expect, it } from 'vitest';
import type { AgentCall } from '#kernel';
import { LazyAbortController, LazyAgentCall } from '#sdk';
import { silentLogger } from '../../../kernel/logger.js';

function source() {
  const abort = new LazyAbortController();
  const read: string[] = [];
  const from = {
    get signal() {
      read.push('signal');
      return abort.signal;
    },
    get logger() {
      read.push('logger');
      return silentLogger;
    },
    isAborted: () => abort.isAborted(),
    onAbort: (listener: () => void) => abort.onAbort(listener),
    offAbort: (listener: () => void) => abort.offAbort(listener),
  };
  return { abort, read, call: new LazyAgentCall(from, 40, { traceparent: '00-1' }) as AgentCall };
}

describe('LazyAgentCall', () => {
  it('reads nothing until an agent does', () => {
    const { read, call } = source();
    expect(call.isAborted?.()).toBe(false);
    expect(call).toMatchObject({ timeoutMs: 40, headers: { traceparent: '00-1' } });
    expect(read).toEqual([]);
    const { signal } = call;
    expect(signal.aborted).toBe(false);
    expect(read).toEqual(['signal']);
  });

  it('keeps its signal and its logger in a copy', () => {
    const { abort, call } = source();
    const copy: AgentCall = { ...call, timeoutMs: 1 };
    expect(copy.logger).toBe(silentLogger);
    abort.abort();
    expect(copy.signal.aborted).toBe(true);
    // A copy has no answer of its own, which could be out of date.
    expect(copy.isAborted).toBeUndefined();
    expect(call.isAborted?.()).toBe(true);
  });
});
