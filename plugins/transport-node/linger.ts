import type { Socket } from 'node:net';

const lingerMs = 1000;
const discardLimitBytes = 16 * 1024 * 1024;

/**
 * Lets a client that is still sending have its answer: closed at once, unread bytes would reset the connection, and the
 * answer be lost with it. What still comes is thrown away, for a bounded time and up to a limit.
 */
export function linger(socket: Socket): void {
  const limitBytes = socket.bytesRead + discardLimitBytes;
  // Called by Node.js once an answer has been written that is the last of its connection.
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    socket.once('close', () => clearTimeout(timer));
  };
  socket.on('data', () => {
    if (socket.bytesRead > limitBytes) socket.destroy();
  });
}
