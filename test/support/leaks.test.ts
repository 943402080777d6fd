import { once } from 'node:events';
import { createServer } from 'node:net';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { leakCheck } from './leaks.js';

it('settles at once when nothing was opened', async () => {
  await leakCheck().settled();
});

it('names an open server and settles when it is closed', async () => {
  const check = leakCheck();
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  await expect(check.settled(20)).rejects.toThrow(/^left over: .*TCPServerWrap 1/);
  server.close();
  await check.settled();
});

it('waits for what goes away by itself', async () => {
  const check = leakCheck();
  setTimeout(() => {}, 30);
  await check.settled();
});

it('names running timers', async () => {
  const check = leakCheck();
  // Several, because a timer of the runner may be in the snapshot and end meanwhile.
  const timers = [1, 2, 3, 4].map(() => setInterval(() => {}, 1_000));
  try {
    await expect(check.settled(20)).rejects.toThrow(/^left over: .*Timeout \d/);
  } finally {
    for (const timer of timers) clearInterval(timer);
  }
  await check.settled();
});

it('names process listeners', async () => {
  const check = leakCheck();
  const listener = (): void => {};
  process.on('SIGTERM', listener).on('SIGTERM', listener).on('exit', listener);
  try {
    await expect(check.settled(20)).rejects.toThrow(/SIGTERM listener 2.*exit listener 1/);
  } finally {
    process.off('SIGTERM', listener).off('SIGTERM', listener).off('exit', listener);
  }
  await check.settled();
});

it('names a worker thread, even one that keeps nothing alive', async () => {
  const check = leakCheck();
  const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
  worker.unref();
  await once(worker, 'online');
  await expect(check.settled(20)).rejects.toThrow('worker thread 1');
  await worker.terminate();
});

it('settles after a worker thread has ended', async () => {
  const check = leakCheck();
  const worker = new Worker('', { eval: true });
  await once(worker, 'online');
  await check.settled();
});

it('leaves no listener of its own', async () => {
  const before = process.listenerCount('worker');
  const check = leakCheck();
  await check.settled();
  expect(process.listenerCount('worker')).toBe(before);
});
