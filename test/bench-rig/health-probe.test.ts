import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { HealthProbe } from '../bench/rig/health-probe.mjs';

async function listening(answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

it('the probe asks on one connection until it is stopped, and knows the slowest answer', async () => {
  let asked = 0;
  let heldMs = 0;
  let connections = 0;
  const { server, port } = await listening(async (_, response) => {
    const begun = performance.now();
    if (++asked === 2) await pause(20);
    heldMs = Math.max(heldMs, performance.now() - begun);
    response.end('{}');
  });
  server.on('connection', () => connections++);
  const probe = new HealthProbe(port);
  while (asked < 3) await once(server, 'request');
  await probe.stop();
  server.close();
  // Not before the probe has let go of its connection.
  await once(server, 'close');
  expect(connections).toBe(1);
  expect(probe.slowestMs).toBeGreaterThan(heldMs);
});

it('the probe says when it got no answer', async () => {
  const { server, port } = await listening((request) => request.socket.destroy());
  const probe = new HealthProbe(port);
  await once(server, 'request');
  await expect(probe.stop()).rejects.toThrow('socket hang up');
});
