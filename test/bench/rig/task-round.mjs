import { launchWaggle } from '../waggle/launch.mjs';
import { startProgram, startServer } from './process.mjs';
import { callsBetween, startRedis } from './redis.mjs';
import { measured } from './window.mjs';

const inFlight = 64;

/** What a contender needs around it, and the environment that says where that is. */
const surroundings = {
  redis: () => startRedis('all'),
  async server() {
    const server = await startServer({ launch: launchWaggle, onCore: 'all' });
    return { ...server, env: { SERVER_PORT: String(server.port) } };
  },
};

/** One round of a program that runs tasks. */
export async function taskRound({ file, around, isRedisCounted }, { quick }) {
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
    const redis = isRedisCounted ? surrounding : undefined;
    const window = await measured({ server, redis, clients: [] }, () => run(0, inFlight));
    const one = await run(0, 1, ms / 2);
    const short = await run(50, inFlight, ms / 2);
    const long = await run(1000, inFlight, ms / 2);
    const metrics = {
      value: window.result.perSecond,
      'p50 µs': window.result.p50Us,
      'p99 µs': window.result.p99Us,
      'CPU µs/task': window.serverUs / window.result.tasks,
      ...(redis && {
        'Redis µs/task': window.redisUs / window.result.tasks,
        'scripts/task': callsBetween(...window.calls, 'evalsha') / window.result.tasks,
        'Redis commands/task': callsBetween(...window.calls) / window.result.tasks,
      }),
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
}
