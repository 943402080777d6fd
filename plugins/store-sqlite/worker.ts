import { parentPort, workerData } from 'node:worker_threads';
import { type Call, ConversationFile, type Limits, type Outcome } from './conversation-file.js';
import { wordingOf } from './open-file.js';

/** What the thread is started with. */
export interface WorkerSettings extends Limits {
  readonly path: string;
}

/** What the thread says of the file. */
export interface Report {
  /** To the calls of one list; absent where nothing was asked. */
  readonly outcomes?: readonly Outcome[];
  /** Why nothing can be kept, while that is so. */
  readonly trouble: string | undefined;
}

/** Without a question, too: who sees that nothing can be kept asks elsewhere. */
const checkEveryMs = 1000;

const port = parentPort as NonNullable<typeof parentPort>;
const { path, ...limits } = workerData as WorkerSettings;
try {
  const file = new ConversationFile(path, limits);
  let known: string | undefined;
  const report = (outcomes?: readonly Outcome[]) => {
    const { trouble } = file;
    if (outcomes || trouble !== known) port.postMessage({ ...(outcomes && { outcomes }), trouble });
    known = trouble;
  };
  const timer = setInterval(() => {
    file.check();
    report();
  }, checkEveryMs);
  port.on('message', (calls: readonly Call[] | 'close') => {
    if (calls !== 'close') return report(file.run(calls));
    clearInterval(timer);
    port.close();
    file.close();
  });
  port.postMessage('open');
} catch (error) {
  port.postMessage({ why: wordingOf(error) });
  port.close();
}
