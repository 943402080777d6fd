import { parentPort, workerData } from 'node:worker_threads';
import { type Call, ConversationFile, type Limits, type Outcome } from './conversation-file.js';
import { wordingOf } from './open-file.js';

// Runs on a thread. It and what it imports take little more than types from the kernel, so that the thread starts quickly.

export interface WorkerSettings extends Limits {
  readonly path: string;
}

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
  let indexing: NodeJS.Immediate | undefined;
  /** Step by step, between calls. */
  const index = () => {
    indexing = file.indexSome() ? setImmediate(index) : undefined;
  };
  index();
  const timer = setInterval(() => {
    file.check();
    report();
    if (!indexing) index();
  }, checkEveryMs);
  port.on('message', (calls: readonly Call[] | 'close') => {
    if (calls !== 'close') {
      report(file.run(calls));
      indexing ??= setImmediate(index);
      return;
    }
    clearInterval(timer);
    clearImmediate(indexing);
    port.close();
    file.close();
  });
  port.postMessage('open');
} catch (error) {
  port.postMessage({ why: wordingOf(error) });
  port.close();
}
