import { describe, expect, it, vi } from 'vitest';
import type { AgentCall } from '#kernel';
import { LazyAbortController, LazyAgentCall } from '#sdk';
import { silentLogger } from '../../../kernel/logger.js';

function source() {
  const abort = new LazyAbortController();
  const read: string[] = [];
  const from = {
    abort,
    get logger() {
      read.push('logger');
      return silentLogger;
    },
  };
  const signal = vi.spyOn(abort, 'signal', 'get');
  return { abort, read, signal, call: new LazyAgentCall(from, 40, { traceparent: '00-1' }) as AgentCall };
}

describe('LazyAgentCall', () => {
  it('reads nothing until an agent does', () => {
    const { read, signal, call } = source();
    expect(call.isAborted?.()).toBe(false);
    expect(call).toMatchObject({ timeoutMs: 40, headers: { traceparent: '00-1' } });
    expect(signal).not.toHaveBeenCalled();
    expect(read).toEqual([]);
    expect(call.signal.aborted).toBe(false);
    expect(call.logger).toBe(silentLogger);
    expect(read).toEqual(['logger']);
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
