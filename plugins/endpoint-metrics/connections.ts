import { closeCodes, type EventBus, type Transport } from '#kernel';
import type { Metrics } from './metrics.js';

export function connectionMetrics(metrics: Metrics, bus: EventBus, transport: Transport): void {
  metrics.gauge('waggle_connections', 'Open WebSocket connections', () => transport.connections.open);
  metrics.gauge(
    'waggle_connections_limit',
    'Limit of open WebSocket connections',
    () => transport.connections.limit,
  );
  const opened = metrics.counter('waggle_connections_opened_total', 'WebSocket connections opened');
  const refused = metrics.counter(
    'waggle_connections_refused_total',
    'WebSocket connections refused because of the limit',
  );
  const closed = metrics.counter(
    'waggle_connections_closed_total',
    'WebSocket connections closed, by close code; other for unknown codes',
    'code',
  );
  bus.on('connection:opened', () => opened.inc());
  bus.on('connection:refused', () => refused.inc());
  bus.on('connection:closed', ({ code }) => closed.inc({ code: closeCodes.has(code) ? code : 'other' }));
}
