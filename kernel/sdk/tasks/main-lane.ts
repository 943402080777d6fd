import type { TaskCall, TaskDefinition, TaskFunction } from '../../contracts/task.js';
import { WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { deferred } from '../deferred.js';
import type { Attempt, Lane } from './lane.js';
import { moduleUrl } from './module-url.js';
import type { Run } from './run.js';
import { bindingsOf } from './turn.js';

interface Settings {
  readonly cancelGraceMs: number;
}

/** The main thread: async functions that mostly wait. A run that does not stop in time is left to itself. */
export class MainLane implements Lane {
  readonly #settings: Settings;
  readonly #concurrency: () => number;
  readonly #logger: Logger;
  readonly #onFree: () => void;
  #running = 0;

  constructor(settings: Settings, concurrency: () => number, logger: Logger, onFree: () => void) {
    this.#settings = settings;
    this.#concurrency = concurrency;
    this.#logger = logger;
    this.#onFree = onFree;
  }

  get free(): number {
    return this.#concurrency() - this.#running;
  }

  accept(definition: TaskDefinition): void {
    if (definition.lane === 'worker') moduleUrl(definition.module);
  }

  start(run: Run, input: unknown): Attempt {
    const abort = new AbortController();
    const logger = this.#logger.child(bindingsOf(run));
    // First, because the run may submit another one.
    this.#running++;
    const work = invoke(run.kind.definition, input, new MainCall(run, abort.signal, logger));
    let grace: NodeJS.Timeout | undefined;
    const { promise, resolve, reject } = deferred<unknown>();
    work.then(resolve, reject);
    const done = promise.finally(() => {
      clearTimeout(grace);
      this.#running--;
      this.#onFree();
    });
    const stop = () => {
      abort.abort();
      grace ??= setTimeout(() => {
        run.abandoned = true;
        reject(new Error('it did not stop when it was told to'));
      }, this.#settings.cancelGraceMs);
    };
    return { done, stop };
  }

  async forget(): Promise<void> {}

  async close(): Promise<void> {}
}

async function invoke(definition: TaskDefinition, input: unknown, call: TaskCall): Promise<unknown> {
  if (definition.lane === 'main') return definition.run(input, call);
  const { default: run } = (await import(moduleUrl(definition.module).href)) as {
    readonly default: TaskFunction;
  };
  return run(input, call);
}

class MainCall implements TaskCall {
  readonly #run: Run;
  readonly attempt: number;
  readonly userId: string | undefined;
  readonly connection: string | undefined;
  readonly signal: AbortSignal;
  readonly logger: Logger;

  constructor(run: Run, signal: AbortSignal, logger: Logger) {
    this.#run = run;
    this.attempt = run.attempts;
    this.userId = run.userId;
    this.connection = run.options.connection;
    this.signal = signal;
    this.logger = logger;
  }

  get taskId(): string {
    return this.#run.id;
  }

  get cancelled(): boolean {
    return this.signal.aborted;
  }

  // Arrow functions, because tasks take them out of the call.
  readonly progress = (value: unknown): void => {
    this.#run.tells([{ type: 'progress', value }]);
  };

  readonly partial = (value: unknown): void => {
    if (this.#run.tells([{ type: 'partial', value }])) return;
    throw new WaggleError('TASK_FAILED', { task: this.#run.name, why: 'it gave too many partial results' });
  };
}
