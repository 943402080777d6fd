import { WaggleClient } from './client.js';
import { expectDurations } from './duration.js';
import type { ConnectOptions, WebSocketClass } from './types.js';

/**
 * Opens a connection, as in `connect('ws://localhost:9797/ws/me')`; the last part of the path is the client id.
 * @throws CONNECTION_LOST when the first try fails; from then on the client comes back by itself
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<WaggleClient> {
  const { reconnect = {}, answerTimeoutMs = 10_000, heartbeatMs = 15_000, onState } = options;
  const { WebSocket = (globalThis as { WebSocket?: WebSocketClass }).WebSocket } = options;
  if (!WebSocket)
    throw new TypeError('there is no global WebSocket: pass one as connect(url, { WebSocket })');
  const { baseMs, maxMs } = reconnect || {};
  expectDurations({ answerTimeoutMs, heartbeatMs, 'reconnect.baseMs': baseMs, 'reconnect.maxMs': maxMs });
  const settings = { url, WebSocket, reconnect, answerTimeoutMs, heartbeatMs, onState };
  return new Promise((resolve, reject) => {
    const settled = { opened: () => resolve(client), closed: reject };
    const client: WaggleClient = new WaggleClient(settings, settled);
  });
}
