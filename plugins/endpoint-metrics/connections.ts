import { closeCodes, type EventBus, type Transport } from '#kernel';
import type { Metrics } from './metrics.js';

/** WebSockets. */
export function connectionMetrics(metrics: Metrics, bus: EventBus, transport: Transport): void {
  metrics.gauge('waggle_connections', 'WebSockets that are open', () => transport.connections.open);
  metrics.gauge('waggle_connections_limit', 'WebSockets that may be open', () => transport.connections.limit);
  const opened = metrics.counter('waggle_connections_opened_total', 'WebSockets that were opened');
  const refused = metrics.counter('waggle_connections_refused_total', 'WebSockets beyond the limit');
  const closed = metrics.counter(
    'waggle_connections_closed_total',
    'WebSockets that were closed, by close code; other for one that is not known here',
    'code',
  );
  bus.on('connection:opened', () => opened.inc());
  bus.on('connection:refused', () => refused.inc());
  bus.on('connection:closed', ({ code }) => closed.inc({ code: closeCodes.has(code) ? code : 'other' }));
}
