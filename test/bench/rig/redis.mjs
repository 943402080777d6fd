import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { clientCore, freePort, launch, stop } from './process.mjs';

const run = promisify(execFile);
const startTimeoutMs = 10_000;

/** A `redis-server` for one round, without files. Its CPU is counted on its own. */
export async function startRedis(onCore = clientCore) {
  const port = await freePort();
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', ''];
  const child = launch(['redis-server', ...options], { onCore });
  const ask = async (...args) => (await run('redis-cli', ['-p', String(port), ...args])).stdout;
  for (const since = performance.now(); ; ) {
    if ((await ask('ping').catch(() => '')).startsWith('PONG')) break;
    if (performance.now() - since > startTimeoutMs) throw new Error(`redis-server: ${child.said}`);
  }
  return {
    port,
    pid: child.pid,
    env: { REDIS_PORT: String(port) },
    /** Calls of each command so far, those of scripts included. */
    async calls() {
      const lines = (await ask('info', 'commandstats')).matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm);
      const counts = Object.fromEntries([...lines].map(([, name, calls]) => [name, Number(calls)]));
      delete counts.info;
      return counts;
    },
    stop: () => stop(child),
  };
}

/** The number of calls between two looks, or of one command. */
export function callsBetween(before, after, command) {
  const names = command ? [command] : Object.keys(after);
  return names.reduce((sum, name) => sum + (after[name] ?? 0) - (before[name] ?? 0), 0);
}
