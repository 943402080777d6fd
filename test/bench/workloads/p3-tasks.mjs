import { taskRound } from '../rig/task-round.mjs';

const program = (name, file, more = {}) => ({
  ...{ name, file, around: 'redis', isRedisCounted: true },
  ...{ commands: ['redis-server', 'redis-cli'], ...more },
});

export default {
  id: 'P3',
  title:
    'Tasks of several servers: no work at all through the line in Redis and back, 64 under way, 2 at a time',
  unit: 'tasks per second',
  reference: 'bullmq',
  ours: 'waggle',
  atLeast: true,
  contenders: [program('waggle', 'waggle-shared.mjs', { ours: true }), program('bullmq', 'bullmq-same.mjs')],
  gates: [
    { text: 'at least 0.7 times bullmq', ours: 'waggle', theirs: 'bullmq', factor: 0.7, atLeast: true },
    {
      text: 'one at a time: at most 1.3 times as long',
      ...{ ours: 'waggle', theirs: 'bullmq', metric: 'one at a time p50 µs', factor: 1.3 },
    },
  ],
  notes: [
    'BullMQ in the version that Waggle uses, over the same client, with its worker in the same process.',
  ],
  measure: taskRound,
};
