import { taskRound } from '../rig/task-round.mjs';

const program = (name, file, more = {}) => ({ name, file, ...more });

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
  measure: taskRound,
};
