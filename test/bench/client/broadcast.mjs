import { request } from 'node:http';
import { percentiles } from './percentile.mjs';

const boundMs = 30_000;

/** Posts notifications one after the other; each has to reach all of `connections` before the next. */
export async function broadcast(connections, { port, times, chars, everyMs }) {
  const latencyUs = [];
  const data = 'x'.repeat(chars);
  for (let round = 0; round < times; round++) {
    const begun = performance.now();
    let left = connections.length;
    const all = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${left} connections got nothing`)), boundMs);
      for (const connection of connections)
        connection.onText = (_bytes, from, to) => {
          if (to - from < chars) return;
          latencyUs.push((performance.now() - begun) * 1000);
          if (--left > 0) return;
          clearTimeout(timer);
          resolve();
        };
    });
    await post(port, JSON.stringify({ topic: 'bench', data }));
    await all;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return { frames: latencyUs.length, latencyUs: percentiles(latencyUs) };
}

function post(port, body) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const call = request({
      host: '127.0.0.1',
      port,
      path: '/notifications',
      method: 'POST',
      headers,
      agent: false,
    });
    call.on('error', reject);
    call.on('response', (response) => {
      response.resume();
      if (response.statusCode === 202) resolve();
      else reject(new Error(`answered with ${response.statusCode}`));
    });
    call.end(body);
  });
}
