import { serveRuns } from './driver.mjs';
import spin from './spin.mjs';

/** BullMQ with its worker in the same process, which is kinder to it than a process of its own. */
export async function serveBullmq({ Queue, Worker }, ofQueue, ofWorker = ofQueue) {
  const queue = new Queue('bench', ofQueue);
  const waiting = new Map();
  const worker = new Worker('bench', async ({ data }) => spin(data), { ...ofWorker, concurrency: 2 });
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
}
