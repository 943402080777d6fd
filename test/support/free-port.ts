import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';

/** A port of this machine that was free a moment ago. */
export function freePort(): Promise<number> {
  return probed(0);
}

/**
 * The same, below the ports of outgoing connections: a client that tries a closed one of those again and again may be
 * connected to itself, and takes the port.
 */
export async function lowPort(): Promise<number> {
  for (;;)
    try {
      return await probed(20_000 + Math.floor(Math.random() * 12_000));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
}

async function probed(wanted: number): Promise<number> {
  const probe = createServer().listen(wanted, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
