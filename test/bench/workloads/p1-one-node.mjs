import { waggle } from '../rig/contender.mjs';
import { startRedis } from '../rig/redis.mjs';
import { perToken, streamingRound } from '../rig/streaming.mjs';

const beatsPerSecond = 50;
const redis = { commands: ['redis-server', 'redis-cli'], isShared: true };

export default {
  id: 'P1',
  title: 'One server with its logs in Redis: 500 connections, 50 tokens a second each',
  unit: 'µs CPU per token',
  reference: 'waggle, in memory',
  ours: 'waggle, on Redis',
  contenders: [waggle('waggle, in memory'), { ...waggle('waggle, on Redis'), ours: true, ...redis }],
  gates: [
    {
      text: 'paced: at most 1.25 times the CPU of memory',
      ours: 'waggle, on Redis',
      theirs: 'waggle, in memory',
      factor: 1.25,
    },
    {
      text: 'burst: at most 1.3 times the CPU of memory',
      ours: 'waggle, on Redis',
      theirs: 'waggle, in memory',
      metric: 'burst µs/token',
      factor: 1.3,
    },
    {
      text: 'first token: at most 0.5 ms later',
      ours: 'waggle, on Redis',
      theirs: 'waggle, in memory',
      metric: 'first token p50 ms',
      factor: 1,
      plus: 0.5,
    },
    {
      text: 'at most 0.45 commands of Redis per token',
      ours: 'waggle, on Redis',
      theirs: 'waggle, in memory',
      metric: 'Redis commands/token',
      factor: 0,
      plus: 0.45,
    },
  ],
  notes: ['Redis has the core of the clients. Its CPU is not in the value, but in a column of its own.'],
  async measure({ isShared, ...contender }, { quick }) {
    const shared = isShared ? await startRedis() : undefined;
    const around = { redis: shared, env: shared?.env };
    try {
      const seconds = quick ? 2 : 10;
      const tokens = Math.round((seconds + 1) * beatsPerSecond);
      const warmUp = { question: 'burst 1 500 20', tokens: 500, on: 100 };
      const few = beatsPerSecond * (quick ? 0.4 : 2);
      const paced = await streamingRound(
        contender,
        {
          ...{ connections: 500, warmUp },
          exact: { question: 'burst 1 2000 500', tokens: 2000, on: 4 },
          within: { question: `paced ${tokens}`, tokens, ms: seconds * 1000 },
          // A few at a time: this is the wait for Redis, and not that for hundreds of others.
          stamped: { question: `stamped ${few}`, tokens: few, on: 10, waves: quick ? 3 : 10 },
        },
        around,
      );
      const burst = await streamingRound(
        contender,
        {
          ...{ connections: 200, warmUp },
          measured: { question: 'burst 1 4096 512', tokens: 4096, waves: quick ? 3 : 12, pauseMs: 50 },
        },
        around,
      );
      const perBurst = perToken(burst.window);
      const metrics = {
        'Redis µs/token': 0,
        'Redis commands/token': 0,
        ...perToken(paced.window),
        'first token p50 ms': paced.late.firstUs.p50 / 1000,
        'first token p99 ms': paced.late.firstUs.p99 / 1000,
        'late p99 ms': paced.late.lateUs.p99 / 1000,
        'burst µs/token': perBurst.value,
        'burst Redis µs/token': perBurst['Redis µs/token'] ?? 0,
      };
      return { metrics, window: paced.window };
    } finally {
      await shared?.stop();
    }
  },
};
