import { once } from 'node:events';
import { type AddressInfo, createServer, type ListenOptions, type Server } from 'node:net';
import { messageOf } from '../../errors.js';

const listenTimeoutMs = 5000;

interface Held {
  readonly port: number;
  readonly lock: Server | undefined;
  readonly shards: Set<number>;
}

/** The ports of a server with several processes. Its own processes share them, any other server finds them in use. */
export class PortLocks {
  /** By host and the port that was asked for, which may be 0. */
  readonly #held = new Map<string, Promise<Held>>();

  /** The port that a shard may listen on, or why not. */
  async reserve(shard: number, host: string, asked: number): Promise<number | string> {
    const key = `${host} ${asked}`;
    const holding = this.#held.get(key) ?? hold(host, asked);
    this.#held.set(key, holding);
    try {
      const { port, shards } = await holding;
      shards.add(shard);
      return port;
    } catch (error) {
      this.#held.delete(key);
      return (error as NodeJS.ErrnoException).code ?? messageOf(error);
    }
  }

  /** Says that a shard no longer listens on it. The last one gives it free. */
  async release(shard: number, host: string, asked: number): Promise<void> {
    const key = `${host} ${asked}`;
    const held = await this.#held.get(key)?.catch(() => undefined);
    if (!held?.shards.delete(shard) || held.shards.size > 0) return;
    this.#held.delete(key);
    held.lock?.close();
  }

  close(): void {
    for (const holding of this.#held.values())
      holding.then(
        ({ lock }) => lock?.close(),
        () => {},
      );
    this.#held.clear();
  }
}

/** @throws where another process listens, or is about to */
async function hold(host: string, asked: number): Promise<Held> {
  const port = await freePort(host, asked);
  // Processes that share a port can do so with any other process of their user: the lock is what keeps a second server out.
  const lock =
    process.platform === 'linux' ? await listening({ path: `\0waggle ${host} ${port}` }) : undefined;
  return { port, lock: lock?.unref(), shards: new Set() };
}

/** Finds out whether a process may have a port for itself. */
async function freePort(host: string, port: number): Promise<number> {
  const probe = await listening({ host, port, exclusive: true });
  const { port: found } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return found;
}

async function listening(options: ListenOptions): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  try {
    await once(server.listen(options), 'listening', { signal: AbortSignal.timeout(listenTimeoutMs) });
    return server;
  } catch (error) {
    server.close(() => {});
    throw error;
  }
}
