import { once } from 'node:events';
import {
  type AddressInfo,
  connect,
  createServer,
  type NetConnectOpts,
  type Server,
  type Socket,
} from 'node:net';
import { Transform } from 'node:stream';

/** Makes a stream that passes the bytes of one connection on, from the server to the client, with faults. */
export type Filter = () => Transform;

/** A proxy in front of a server whose link a test makes bad. */
export class FaultProxy {
  /** Delay of every piece, in each direction. */
  delayMs = 0;
  /** Whether bytes vanish, in both directions; connections stay. */
  swallows = false;
  /** Bytes a second in each direction. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  filter: Filter | undefined;
  /** Connections since the start. */
  opened = 0;
  #target: NetConnectOpts;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #isCut = false;

  private constructor(target: NetConnectOpts) {
    this.#target = target;
    this.#server = createServer({ noDelay: true }, (socket) => this.#onSocket(socket));
  }

  static async start(target: NetConnectOpts): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends all connections, and each new one at once, until `mend`. */
  cut(): void {
    this.#isCut = true;
    this.drop();
  }

  mend(): void {
    this.#isCut = false;
    this.swallows = false;
  }

  /** Ends all connections; new ones go to another server. */
  switchTo(target: NetConnectOpts): void {
    this.#target = target;
    this.drop();
  }

  /** Ends all connections; new ones are welcome. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.drop();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #onSocket(client: Socket): void {
    if (this.#isCut) {
      client.destroy();
      return;
    }
    this.opened++;
    const server = connect({ noDelay: true, ...this.#target });
    const back = this.filter?.();
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
        back?.destroy();
      });
      const pipe = from.pipe(this.#fault());
      (from === server && back ? pipe.pipe(back) : pipe).pipe(to);
    }
  }

  /** The faults as they are when a piece comes. */
  #fault(): Transform {
    const of = () => this;
    let late = 0;
    return new Transform({
      transform(piece: Buffer, _encoding, done) {
        const { swallows, delayMs, bytesPerSecond } = of();
        if (swallows) {
          done();
          return;
        }
        const push = () => {
          late--;
          if (!this.destroyed) this.push(piece);
        };
        late++;
        // Later pieces do not wait for the delay of earlier ones, and never overtake.
        if (delayMs > 0 || late > 1) setTimeout(push, delayMs);
        else push();
        if (bytesPerSecond === Number.POSITIVE_INFINITY) done();
        else setTimeout(done, (1000 * piece.length) / bytesPerSecond);
      },
      flush: (done) => void setTimeout(done, this.delayMs),
    });
  }
}
