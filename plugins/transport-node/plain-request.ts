import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** Whether an upgrade is to WebSocket, the only supported protocol. */
export function isWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
}

/**
 * Serves a request that offers another protocol, such as `h2c`, as a plain one: Node.js would drop its body. Passes it back to
 * the server without the offer.
 */
export function serveWithoutUpgrade(
  server: Server,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const lines = [`${req.method} ${req.url} HTTP/${req.httpVersion}`];
  for (let at = 0; at + 1 < req.rawHeaders.length; at += 2) {
    const [name, value] = [req.rawHeaders[at] as string, req.rawHeaders[at + 1] as string];
    if (!/^(upgrade|connection)$/i.test(name)) lines.push(`${name}: ${value}`);
    else if (name.length === 'connection'.length) lines.push(`${name}: ${withoutUpgrade(value)}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit(socket instanceof TLSSocket ? 'secureConnection' : 'connection', socket);
  socket.resume();
}

function withoutUpgrade(connection: string): string {
  const options = connection.split(',').map((option) => option.trim());
  return options.filter((option) => option.toLowerCase() !== 'upgrade').join(', ');
}
