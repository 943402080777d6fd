import type { Socket } from 'node:net';
import { Lingering } from '#sdk/http';

/** Lingering close: on an immediate one, unread bytes would reset the connection, and its response be lost. */
export function linger(socket: Socket): void {
  let lingering: Lingering | undefined;
  // Node.js calls it when the last response of a connection was written.
  socket.destroySoon = () => {
    socket.end();
    lingering ??= new Lingering(() => socket.destroy());
  };
  socket.once('close', () => lingering?.stop());
  socket.on('data', ({ byteLength }: Buffer) => lingering?.received(byteLength));
}
