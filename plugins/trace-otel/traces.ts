import type { EventBus } from '#kernel';
import { registeredApi } from './api.js';
import { RequestTrace, type SpanEnd } from './request-trace.js';

/** Traces every request from the events of the bus, none of which is emitted per token. `running` holds open traces by stream. */
export function traceRequests(bus: Pick<EventBus, 'on'>, running: Map<string, RequestTrace>): void {
  const end = (streamId: string, how: SpanEnd, queuedMs: number) => {
    running.get(streamId)?.ended(how, queuedMs);
    running.delete(streamId);
  };
  bus.on('chat:accepted', (event) => {
    const api = registeredApi();
    const trace = api && new RequestTrace(api, event);
    if (trace?.wanted) running.set(event.streamId, trace);
  });
  bus.on('agent:asked', (event) => running.get(event.streamId)?.asked(event));
  bus.on('agent:answered', (event) => running.get(event.streamId)?.answered(event));
  bus.on('agent:failed', ({ streamId, code, attempt }) =>
    running.get(streamId)?.agentEnded(attempt, { code }),
  );
  bus.on('agent:cancelled', ({ streamId, attempt }) =>
    running.get(streamId)?.agentEnded(attempt, { cancelled: 'stopped' }),
  );
  bus.on('tool:called', (event) => running.get(event.streamId)?.toolCalled(event));
  bus.on('tool:ended', ({ streamId, callId, code, cancelled }) =>
    running.get(streamId)?.toolEnded(callId, {
      ...(code !== undefined && { code }),
      ...(cancelled && { cancelled: 'stopped' }),
    }),
  );
  bus.on('chat:finished', ({ streamId, timings }) => end(streamId, {}, timings.queuedMs));
  bus.on('chat:failed', ({ streamId, timings, code }) => end(streamId, { code }, timings.queuedMs));
  bus.on('chat:cancelled', ({ streamId, timings, reason }) =>
    end(streamId, { cancelled: reason }, timings.queuedMs),
  );
}

/** Ends all open spans, because no further event will. */
export function endAll(running: Map<string, RequestTrace>): void {
  for (const trace of running.values()) trace.ended({});
  running.clear();
}
