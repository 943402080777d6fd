import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { PortLocks } from '../../../../kernel/host/shards/port-locks.js';
import { freePort } from '../../../support/free-port.js';

const host = '127.0.0.1';
const all: PortLocks[] = [];
afterEach(() => {
  for (const locks of all.splice(0)) locks.close();
});

function locks(): PortLocks {
  const made = new PortLocks();
  all.push(made);
  return made;
}

describe('the port of a server with several processes', () => {
  it('is one for all of its shards, also where any will do', async () => {
    const own = locks();
    const ports = await Promise.all([0, 1, 2].map((shard) => own.reserve(shard, host, 0)));
    expect(new Set(ports).size).toBe(1);
    expect(ports[0]).toBeGreaterThan(0);
    expect(await own.reserve(0, host, 0)).toBe(ports[0]);
  });

  it('is refused where another server listens, or is about to', async () => {
    const port = await freePort();
    const answers = await Promise.all([locks().reserve(0, host, port), locks().reserve(0, host, port)]);
    expect(answers.sort()).toEqual([port, 'EADDRINUSE']);
    const other = createServer().listen(0, host);
    await once(other, 'listening');
    const { port: taken } = other.address() as AddressInfo;
    const own = locks();
    expect(await own.reserve(0, host, taken)).toBe('EADDRINUSE');
    await new Promise((resolve) => other.close(resolve));
    expect(await own.reserve(0, host, taken)).toBe(taken);
  });

  it('is free for others when no shard listens on it any more', async () => {
    const port = await freePort();
    const [own, other] = [locks(), locks()];
    for (const shard of [0, 1, 0]) expect(await own.reserve(shard, host, port)).toBe(port);
    await own.release(0, host, port);
    await own.release(0, host, port);
    expect(await other.reserve(0, host, port)).toBe('EADDRINUSE');
    await own.release(1, host, port);
    await own.release(1, host, port);
    expect(await other.reserve(0, host, port)).toBe(port);
    await other.release(0, 'no such host', 1);
  });

  it('says why, where it cannot be had', async () => {
    expect(await locks().reserve(0, '192.0.2.1', await freePort())).toBe('EADDRNOTAVAIL');
  });
});
