import { definePlugin } from '#kernel';
import type { RequestTrace } from './request-trace.js';
import { endAll, traceRequests } from './traces.js';

export default definePlugin({
  name: 'trace-otel',
  apiVersion: 1,
  setup(ctx) {
    const running = new Map<string, RequestTrace>();
    ctx.effect('running traces', () => () => endAll(running));
    traceRequests(ctx.bus, running);
  },
});
