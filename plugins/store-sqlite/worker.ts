import { parentPort, workerData } from 'node:worker_threads';
import { type Call, ConversationFile, type Limits } from './conversation-file.js';
import { wordingOf } from './open-file.js';

/** What the thread is started with. */
export interface WorkerSettings extends Limits {
  readonly path: string;
}

const port = parentPort as NonNullable<typeof parentPort>;
const { path, ...limits } = workerData as WorkerSettings;
try {
  const file = new ConversationFile(path, limits);
  port.on('message', (calls: readonly Call[] | 'close') => {
    if (calls !== 'close') return port.postMessage(file.run(calls));
    file.close();
    port.close();
  });
  port.postMessage('open');
} catch (error) {
  port.postMessage({ why: wordingOf(error) });
  port.close();
}
