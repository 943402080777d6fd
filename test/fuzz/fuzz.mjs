import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { freePort } from '../bench/rig/process.mjs';
import { attacks } from './attacks.mjs';
import { Random } from './random.mjs';
import { fuzzReader } from './reader.mjs';

// Sends good requests and frames, changed at random, to the built server over each transport, and says what must not
// happen: an exit, a stall, an error without a word, an answer that does not come, memory that stays. Then gives good
// responses, changed at random, to the reader of model servers, which must make the same of them as Node.js.
//   npm run test:fuzz -- [--seconds 120] [--seed N] [--part transport-node] [--attempt N]

const atOnce = 16;
const stallLimitMs = 1000;
/** What an idle server may hold more than at the base: rings of figures, code compiled meanwhile. */
const memorySlackBytes = 16 * 1024 * 1024;
const root = fileURLToPath(new URL('../../', import.meta.url));

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    part: { type: 'string', multiple: true, default: ['transport-uws', 'transport-node', 'reader'] },
    attempt: { type: 'string' },
  },
});
const seed = Number(values.seed);
const folder = mkdtempSync(join(tmpdir(), 'waggle-fuzz-'));
let failed = false;
const attempt = values.attempt === undefined ? undefined : Number(values.attempt);
const keep = (name, bytes) => writeFileSync(join(folder, name), bytes);
for (const part of values.part) {
  const forMs = attempt === undefined ? (Number(values.seconds) * 1000) / values.part.length : 0;
  const findings = await (part === 'reader' ? fuzzReader(forMs, { seed, attempt }, keep) : fuzz(part, forMs));
  for (const finding of findings.slice(0, 20)) console.log(`  ${finding}`);
  failed ||= findings.length > 0;
}
if (failed) console.log(`seed ${seed}; what was sent last is in ${folder}`);
else rmSync(folder, { recursive: true });
process.exit(failed ? 1 : 0);

async function fuzz(transport, forMs) {
  const findings = [];
  const server = await start(transport, findings);
  const probe = new Worker(new URL('health-probe.mjs', import.meta.url), {
    workerData: { port: server.port },
  });
  let next = attempt ?? seed;
  let done = 0;
  const attack = async (untilMs) => {
    while (performance.now() < untilMs && server.child.exitCode === null) {
      const number = next++;
      const random = new Random(number);
      const [name, run] = random.pick(Object.entries(attacks));
      const sent = [];
      const complaint = await run(server.port, random, (bytes) => sent.push(bytes)).catch(String);
      done++;
      if (!complaint) continue;
      findings.push(`${name}, --attempt ${number}: ${complaint}`);
      keep(`${transport}-${number}`, Buffer.concat(sent));
    }
  };
  const phase = (ms) => Promise.all(Array.from({ length: atOnce }, () => attack(performance.now() + ms)));

  if (attempt !== undefined) await attack(performance.now() + 1);
  else {
    // First what every server learns once: code, caches, connections.
    await phase(forMs * 0.2);
    const base = await server.memory();
    await phase(forMs * 0.8);
    const end = await server.memory();
    if (base && end) {
      const held = (each) => each.heapUsed + each.external;
      const grownBytes = held(end) - held(base);
      console.log(
        `${transport}: held ${megabytes(held(base))} MB before and ${megabytes(held(end))} MB after, resident ${megabytes(base.rss)} and ${megabytes(end.rss)} MB`,
      );
      if (grownBytes > memorySlackBytes) findings.push(`memory has grown by ${megabytes(grownBytes)} MB`);
      if (end.rss > base.rss * 2) findings.push('resident memory has doubled');
      if (end.open > 0) findings.push(`${end.open} connections are still open`);
    }
  }
  probe.postMessage('stop');
  const [{ longestMs, failed: unanswered }] = await once(probe, 'message');
  if (longestMs > stallLimitMs) findings.push(`/health took ${Math.round(longestMs)} ms`);
  if (unanswered > 0) findings.push(`/health was not answered ${unanswered} times`);
  await server.stop();
  console.log(
    `${transport}: ${done} attempts from seed ${seed}, longest /health ${Math.round(longestMs)} ms, ${findings.length} findings`,
  );
  return findings;
}

async function start(transport, findings) {
  const port = await freePort();
  const config = {
    server: { logLevel: 'error', drainTimeoutMs: 1000 },
    plugins: {
      'transport-uws': { use: transport, config: { host: '127.0.0.1', port } },
      'streams-memory': { config: { keepMs: 500, disconnectGraceMs: 500 } },
      // Full long before the base is taken.
      'store-memory': { config: { maxConversations: 20, totalLimitChars: 200_000 } },
      // So that what waits has ended, too, when memory is looked at.
      'tasks-tinypool': { config: { workers: 1, keepMs: 500, timeoutMs: 200, queueLimit: 10 } },
      'agent-ollama': { enabled: false },
      'agent-queen': { config: { candidates: ['fuzz', 'eliza'] } },
      fuzz: { use: fileURLToPath(new URL('plugin.mjs', import.meta.url)) },
      'monitor-console': { config: { intervalMs: 1000 } },
    },
  };
  const file = join(folder, `${transport}.yaml`);
  writeFileSync(file, JSON.stringify(config));
  const { bin } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
  const child = spawn(process.execPath, ['--expose-gc', `${root}${bin.waggle}`, 'start', '--config', file], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => findings.push(`the server said: ${text.slice(0, 500)}`));
  let stopping = false;
  child.once('exit', (code, signal) => {
    if (!stopping || code !== 0) findings.push(`the server ended with ${code ?? signal}`);
  });
  const url = `http://127.0.0.1:${port}`;
  for (let left = 500; ; left--) {
    const healthy = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (healthy) break;
    if (left === 0 || child.exitCode !== null) throw new Error(`no start: ${findings.join('\n')}`);
    await pause(20);
  }
  return {
    port,
    child,
    /** Once all that ends by itself has ended. */
    async memory() {
      await pause(3000);
      return fetch(`${url}/fuzz/memory`).then(
        (answer) => answer.json(),
        () => undefined,
      );
    },
    async stop() {
      stopping = true;
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

function megabytes(bytes) {
  return (bytes / 1024 / 1024).toFixed(1);
}
