import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

export const benchRoot = fileURLToPath(new URL('../', import.meta.url));
export const repoRoot = fileURLToPath(new URL('../../../', import.meta.url));
/** The same for every Node server under test. */
export const nodeFlags = ['--max-semi-space-size=32'];
export const serverCore = 0;
export const clientCore = 1;

const startTimeoutMs = 20_000;
const askTimeoutMs = 180_000;
/** What this rig has started and not yet seen end. */
const running = new Set();

// A rig that ends must not leave servers behind.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

/** A port of this machine that was free a moment ago. */
export async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Starts a command on one core, or on `all`: the rig's own core would be inherited. */
export function launch(command, { onCore, env = {}, ipc = false }) {
  const cores = onCore === 'all' ? `0-${cpus().length - 1}` : String(onCore);
  const pinned = ['taskset', '-c', cores, ...command];
  const child = spawn(pinned[0], pinned.slice(1), {
    cwd: benchRoot,
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc'] : [])],
  });
  running.add(child);
  child.said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      child.said = (child.said + text).slice(-4000);
    });
  child.on('error', (error) => {
    child.said += String(error);
  });
  child.ended = new Promise((resolve) => {
    child.once('close', resolve);
    child.once('error', resolve);
  });
  child.ended.then(() => running.delete(child));
  return child;
}

/** Ends a process that this rig started, and waits until it is gone. */
export async function stop(child) {
  if (!running.has(child)) return;
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 1500);
  await child.ended;
  clearTimeout(force);
}

/** Milliseconds until `GET /health` of a server that was just started is answered. */
export async function untilHealthy(child, port, { since = performance.now(), everyMs = 5 } = {}) {
  while (performance.now() - since < startTimeoutMs) {
    if (await isHealthy(port)) return performance.now() - since;
    if (!running.has(child)) break;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  await stop(child);
  throw new Error(`a server did not start: ${child.said.trim().split('\n').slice(-5).join(' | ')}`);
}

function isHealthy(port) {
  return new Promise((resolve) => {
    const call = request({ host: '127.0.0.1', port, path: '/health', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.on('error', () => resolve(false));
    call.setTimeout(1000, () => call.destroy());
    call.end();
  });
}

/** A server under test, on a port of its own. `makeCommand` may write a config for the port. */
export async function startServer(contender, env = {}) {
  const port = await freePort();
  const { command, env: more = {} } = contender.launch(port, env);
  const child = launch(command, {
    onCore: contender.onCore ?? serverCore,
    env: { HOST: '127.0.0.1', PORT: String(port), ...env, ...more },
  });
  await untilHealthy(child, port);
  return { pid: child.pid, port, child, stop: () => stop(child) };
}

/** A program of the rig itself, on the core of the clients, that answers one message at a time. */
export async function startProgram(file, env = {}, onCore = clientCore) {
  const child = launch([process.execPath, '--max-semi-space-size=32', `${benchRoot}${file}`], {
    onCore,
    env,
    ipc: true,
  });
  const ask = async (question) => {
    const timeout = AbortSignal.timeout(askTimeoutMs);
    child.send(question);
    const answered = once(child, 'message', { signal: timeout }).then(([message]) => message);
    const gone = child.ended.then(() => ({ error: `${file} has ended: ${child.said.slice(-800)}` }));
    const reply = await Promise.race([answered, gone]);
    if (reply.error) throw new Error(reply.error);
    return reply;
  };
  return { pid: child.pid, child, ask, stop: () => stop(child) };
}
