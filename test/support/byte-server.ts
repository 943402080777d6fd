import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A server of bytes, which are HTTP or not. */
export interface ByteServer {
  readonly url: URL;
  /** Every connection, open or not. */
  readonly sockets: readonly Socket[];
  /** Requests in order, each with the place of its connection in `sockets`. */
  readonly requests: readonly { readonly text: string; readonly connection: number }[];
  close(): Promise<void>;
}

/** Calls `answer` for each whole request; `place` counts them. */
export async function startByteServer(
  answer: (socket: Socket, place: number) => unknown,
  host = '127.0.0.1',
  name = host,
): Promise<ByteServer> {
  const sockets: Socket[] = [];
  const requests: { text: string; connection: number }[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = sockets.push(socket) - 1;
    let text = '';
    socket
      .setEncoding('latin1')
      .on('error', () => {})
      .on('data', (more) => {
        text += more;
        const head = text.indexOf('\r\n\r\n') + 4;
        if (head < 4) return;
        const length = head + Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
        if (text.length < length) return;
        requests.push({ text: text.slice(0, length), connection });
        text = text.slice(length);
        answer(socket, requests.length - 1);
      });
  });
  await once(server.listen(0, host), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://${name}:${port}/path?query`),
    sockets,
    requests,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Sends pieces in one packet each, as far as the kernel does not join them, and closes the connection. */
export async function sendPieces(socket: Socket, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(piece);
    await nextTurn();
  }
  socket.end();
}
