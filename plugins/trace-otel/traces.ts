import type { EventBus } from '#kernel';
import { registeredApi } from './api.js';
import { RequestTrace, type SpanEnd } from './request-trace.js';

/** The traces of all requests that run, made from what is announced: nothing of it happens for each token. */
export class Traces {
  readonly #running = new Map<string, RequestTrace>();

  listen(bus: EventBus): void {
    bus.on('chat:accepted', (event) => {
      const api = registeredApi();
      const trace = api && new RequestTrace(api, event);
      if (trace?.wanted) this.#running.set(event.streamId, trace);
    });
    bus.on('agent:asked', (event) => this.#running.get(event.streamId)?.asked(event));
    bus.on('agent:answered', (event) => this.#running.get(event.streamId)?.answered(event));
    bus.on('agent:failed', ({ streamId, code }) => this.#running.get(streamId)?.agentEnded({ code }));
    bus.on('agent:cancelled', ({ streamId }) =>
      this.#running.get(streamId)?.agentEnded({ cancelled: 'stopped' }),
    );
    bus.on('chat:finished', ({ streamId, timings }) => this.#end(streamId, {}, timings.queuedMs));
    bus.on('chat:failed', ({ streamId, timings, code }) => this.#end(streamId, { code }, timings.queuedMs));
    bus.on('chat:cancelled', ({ streamId, timings, reason }) =>
      this.#end(streamId, { cancelled: reason }, timings.queuedMs),
    );
  }

  /** Ends every span: nobody will tell how those requests end. */
  close(): void {
    for (const trace of this.#running.values()) trace.ended({});
    this.#running.clear();
  }

  #end(streamId: string, how: SpanEnd, queuedMs: number): void {
    this.#running.get(streamId)?.ended(how, queuedMs);
    this.#running.delete(streamId);
  }
}
