import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

// On a thread of its own, so that it measures the server and not the fuzzer beside it.
const { port } = workerData;
let longestMs = 0;
let failed = 0;
let stopped = false;

parentPort.once('message', () => {
  stopped = true;
});
while (!stopped) {
  const from = performance.now();
  const ok = await ask();
  longestMs = Math.max(longestMs, performance.now() - from);
  if (!ok) failed++;
  await pause(20);
}
parentPort.postMessage({ longestMs, failed });

function ask() {
  return new Promise((resolve) => {
    const call = request({ host: '127.0.0.1', port, path: '/health', agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode === 200));
    });
    call.on('error', () => resolve(false)).setTimeout(20_000, () => call.destroy());
    call.end();
  });
}
