import type { EventBus } from '#kernel';
import { codeLabel, type Metrics, secondsBuckets } from './metrics.js';

/** Metrics of requests to agents, one per attempt at an answer. */
export function upstreamMetrics(metrics: Metrics, bus: EventBus): void {
  const asked = metrics.counter(
    'waggle_upstream_requests_total',
    'Ended requests to agents',
    'agent',
    'outcome',
  );
  const errors = metrics.counter(
    'waggle_upstream_errors_total',
    'Failed requests to agents, by error code',
    'agent',
    'code',
  );
  const took = metrics.seconds(
    'waggle_upstream_request_seconds',
    'Time from the request to an agent to the end of its answer',
    secondsBuckets,
    'agent',
  );
  const fallbacks = metrics.counter(
    'waggle_upstream_fallbacks_total',
    'Requests to an agent in place of a failed one',
    'agent',
  );
  const called = metrics.counter(
    'waggle_tool_calls_total',
    'Ended calls of tools by models',
    'tool',
    'outcome',
  );
  const end = (agent: string, outcome: string, runMs: number) => {
    asked.inc({ agent, outcome });
    took.observe({ agent }, runMs / 1000);
  };
  bus.on('agent:asked', ({ agent, fallback }) => {
    if (fallback) fallbacks.inc({ agent });
  });
  bus.on('agent:answered', ({ agent, runMs }) => end(agent, 'answered', runMs));
  bus.on('agent:cancelled', ({ agent, runMs }) => end(agent, 'cancelled', runMs));
  bus.on('agent:failed', ({ agent, runMs, code }) => {
    end(agent, 'failed', runMs);
    errors.inc({ agent, code: codeLabel(code) });
  });
  bus.on('tool:ended', ({ name: tool, code, cancelled }) =>
    called.inc({ tool, outcome: cancelled ? 'cancelled' : code ? 'failed' : 'succeeded' }),
  );
}
