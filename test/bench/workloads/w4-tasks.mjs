import { freePort, launch, startProgram, startServer, stop } from '../rig/process.mjs';
import { measured } from '../rig/window.mjs';
import { launchWaggle } from '../waggle/launch.mjs';

const inFlight = 64;

const program = (name, file, more = {}) => ({ name, file, ...more });

/** What a contender needs around it, and the environment that says where that is. */
const surroundings = {
  async redis() {
    const port = await freePort();
    const child = launch(['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
      onCore: 'all',
    });
    return { env: { REDIS_PORT: String(port) }, pid: child.pid, stop: () => stop(child) };
  },
  async server() {
    const server = await startServer({ launch: launchWaggle, onCore: 'all' });
    return { ...server, env: { SERVER_PORT: String(server.port) } };
  },
};

export default {
  id: 'W4',
  title: 'Tasks: no work at all through the queue to one of 2 threads and back, 64 under way',
  unit: 'tasks per second',
  reference: 'tinypool',
  references: ['tinypool'],
  ours: 'waggle',
  atLeast: true,
  contenders: [
    program('waggle', 'waggle.mjs', { ours: true }),
    program('waggle, over HTTP', 'http.mjs', { ours: true, around: 'server' }),
    program('tinypool', 'tinypool.mjs', { needs: ['tinypool'] }),
    program('piscina', 'piscina.mjs', { needs: ['piscina'] }),
    program('bullmq', 'bullmq.mjs', { needs: ['bullmq'], commands: ['redis-server'], around: 'redis' }),
  ],
  gates: [
    { text: 'at least 0.9 times tinypool', ours: 'waggle', theirs: 'tinypool', factor: 0.9, atLeast: true },
    { text: 'at least 5 times bullmq', ours: 'waggle', theirs: 'bullmq', factor: 5, atLeast: true },
  ],
  notes: [
    'Tinypool keeps the threads; jobs go over a port of our own, one a message. One thread that is asked for one task at a time cannot give five times what BullMQ reaches here with a worker in the same process: that is more than bare tinypool does.',
  ],
  async measure({ file, around }, { quick }) {
    const ms = quick ? 500 : 3000;
    const surrounding = around && (await surroundings[around]());
    let driver;
    try {
      driver = await startProgram(`tasks/${file}`, surrounding?.env, 'all');
      await driver.ask({ do: 'ready' });
      const run = async (us, under, forMs = ms) => {
        const result = await driver.ask({ do: 'run', us, inFlight: under, ms: forMs });
        if (result.issues > 0) throw new Error(`${result.issues} tasks gave something else`);
        return { ...result, perSecond: (result.tasks / result.ms) * 1000 };
      };
      await run(0, inFlight, ms);
      // Both cores are in use, and no client is apart from what is measured.
      const server = { pid: driver.pid };
      const window = await measured({ server, clients: [] }, () => run(0, inFlight));
      const one = await run(0, 1, ms / 2);
      const short = await run(50, inFlight, ms / 2);
      const long = await run(1000, inFlight, ms / 2);
      const metrics = {
        value: window.result.perSecond,
        'p50 µs': window.result.p50Us,
        'p99 µs': window.result.p99Us,
        'CPU µs/task': window.serverUs / window.result.tasks,
        'one at a time p50 µs': one.p50Us,
        'one at a time p99 µs': one.p99Us,
        'tasks/s of 50 µs': short.perSecond,
        'tasks/s of 1 ms': long.perSecond,
      };
      return { metrics, window };
    } finally {
      await driver?.stop();
      await surrounding?.stop();
    }
  },
};
