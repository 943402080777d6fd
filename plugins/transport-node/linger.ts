import type { Socket } from 'node:net';

const lingerMs = 1000;
const discardLimitBytes = 16 * 1024 * 1024;

/**
 * Lingering close, so that a client that is still sending gets its response: on an immediate close, unread bytes would reset
 * the connection. Discards incoming bytes for a bounded time and up to a limit.
 */
export function linger(socket: Socket): void {
  const limitBytes = socket.bytesRead + discardLimitBytes;
  // Node.js calls it when the last response of a connection was written.
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    socket.once('close', () => clearTimeout(timer));
  };
  socket.on('data', () => {
    if (socket.bytesRead > limitBytes) socket.destroy();
  });
}
