import { WaggleError } from '#kernel';

/** A stored job, as far as it is used here; see `JobJson` of bullmq. */
export interface JobJson {
  readonly name: string;
  readonly data: string;
  readonly opts?: object | undefined;
  readonly delay: number;
  readonly timestamp: number;
  readonly stalledCounter: number;
}

/** A job, as far as it is used here. */
export interface Job {
  moveToCompleted(value: unknown, token: string, fetchNext: boolean): Promise<unknown>;
  moveToDelayed(atMs: number, token: string): Promise<unknown>;
}

/** The operations of one queue, see `IQueueBackend` of bullmq. */
export interface Backend {
  moveToActive(token: string): Promise<readonly [JobJson | null, string, number, number]>;
  extendLocks(
    ids: readonly string[],
    tokens: readonly string[],
    durationMs: number,
  ): Promise<readonly string[]>;
  moveStalledJobsToWait(): Promise<readonly string[]>;
}

/** A queue, as far as it is used here. */
export interface Queue {
  add(name: string, data: object, options: object): Promise<unknown>;
  getBackend(): Backend;
  waitUntilReady(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** The package `bullmq`, as far as it is used here. */
export interface BullLibrary {
  readonly Queue: new (name: string, options: object) => Queue;
  readonly Job: { fromJSON(queue: Queue, json: JobJson, id: string): Job };
  createNodeRedisClient(client: unknown): { on(event: 'error', listener: (error: Error) => void): unknown };
}

/** A text to the compiler, which does not find it where it is not installed. */
const name: string = 'bullmq';
/** The version that the tests run with. */
const version = '6.7.0';

/** Loads `bullmq`, which is not installed with this package. @throws ENGINE_UNUSABLE */
export async function loadBull(load: () => Promise<unknown> = () => import(name)): Promise<BullLibrary> {
  try {
    return (await load()) as BullLibrary;
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const install = `npm install --ignore-scripts ${name}@${version}`;
    const why = isMissing
      ? `the package ${name} is not installed: ${install}`
      : `the package ${name} cannot be loaded: ${install} may mend it`;
    throw new WaggleError('ENGINE_UNUSABLE', { engine: 'BullMQ', why }, { cause });
  }
}
