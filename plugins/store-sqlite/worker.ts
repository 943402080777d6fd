import { parentPort, workerData } from 'node:worker_threads';
import { type Call, ConversationFile, type Limits, type Outcome } from './conversation-file.js';
import { wordingOf } from './open-file.js';

/** The thread's `workerData`. */
export interface WorkerSettings extends Limits {
  readonly path: string;
}

/** A message of the thread. */
export interface Report {
  /** Results of one list of calls; absent for a report of its own. */
  readonly outcomes?: readonly Outcome[];
  /** Why nothing can be stored; undefined while all is well. */
  readonly trouble: string | undefined;
}

/** Also without calls: a client of a store in trouble sends none. */
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
