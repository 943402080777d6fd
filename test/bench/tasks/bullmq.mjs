/** BullMQ with its worker in the same process, which is kinder to it than a process of its own. */
import { Queue, Worker } from 'bullmq';
import { serveRuns } from './driver.mjs';
import spin from './spin.mjs';

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null };
const queue = new Queue('bench', { connection });
const waiting = new Map();
const worker = new Worker('bench', async ({ data }) => spin(data), { connection, concurrency: 2 });
const settle = (job, output) => {
  waiting.get(job.id)(output);
  waiting.delete(job.id);
};
worker.on('completed', settle).on('failed', settle);
await worker.waitUntilReady();
let count = 0;
serveRuns(
  (us) =>
    new Promise((resolve, reject) => {
      const jobId = `job-${count++}`;
      waiting.set(jobId, resolve);
      queue.add('spin', us, { jobId, removeOnComplete: true }).catch(reject);
    }),
);
