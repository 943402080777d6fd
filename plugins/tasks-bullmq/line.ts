import type { TaskPriority } from '#kernel';
import { hashOf, type RedisConnection, type RedisLink } from '#sdk/redis';
import { bullPriority, lastBullPriority } from './ledger.js';
import { type BullLibrary, type Job, type JobJson, loadBull, type Queue } from './library.js';
import type { Outcome } from './outcome.js';
import { cancelWaiting, lockAgain, raiseOldest } from './scripts.js';

/** The data of a job. */
export interface TaskData {
  /** The id of the run, which gives access to it: that of the job is its hash, as many see names of keys. */
  readonly id: string;
  readonly name: string;
  readonly input?: unknown;
  readonly owner?: string | undefined;
  readonly connection?: string | undefined;
  readonly priority: TaskPriority;
  readonly timeoutMs?: number | undefined;
  /** The node that has accepted it. */
  readonly by: string;
  /** The Redis key of its idempotency key. */
  readonly key?: string | undefined;
}

/** A job that this node has taken. */
export interface Taken {
  readonly id: string;
  readonly data: TaskData;
  readonly acceptedAt: number;
  /** How often it was given back because a node was lost. */
  readonly stalls: number;
}

/** A job as it is stored. */
export interface Stored {
  readonly data: TaskData;
  readonly isRunning: boolean;
  readonly acceptedAt: number;
  readonly delayMs: number;
  readonly endedAt: number | undefined;
  readonly outcome: Outcome | undefined;
}

/** Result for a job that was to be moved: `lost` to another node, or `gone` with the data of Redis. */
export type Moved = 'moved' | 'lost' | 'gone';

/** Bounds of jobs. */
export interface LineTimes {
  /** Time without a renewal until a job is taken from its node. */
  readonly lockMs: number;
  /** Interval in which one of the nodes looks for such jobs. */
  readonly stalledMs: number;
}

/** How long ended jobs are kept, and how many. */
export interface Keeping {
  readonly keepMs: number;
  readonly maxKept: number;
}

/** Parts that all lines of a node share. */
export interface LineOptions {
  readonly link: RedisLink;
  /** The beginning of all keys. */
  readonly prefix: string;
  readonly times: LineTimes;
  readonly keeping: Keeping;
  /** Shows that a running job is of this node. */
  readonly token: string;
}

/** BullMQ counts jobs of one millisecond in the last part of a score. */
const delaySpan = 0x1000;
/** Events that BullMQ keeps of each queue; nothing here reads them. */
const maxEvents = 100;

/** The jobs of one lane, or of one task with limits of its own: a queue of BullMQ on the connection of the moment. */
export class Line {
  readonly name: string;
  readonly #options: LineOptions;
  readonly #queues = new WeakMap<RedisConnection, Promise<Queue>>();

  constructor(name: string, options: LineOptions) {
    this.name = name;
    this.#options = options;
  }

  /** Adds a job; the same id twice is once. */
  async add(data: TaskData, delayMs = 0): Promise<void> {
    const priority = bullPriority(data.priority);
    await this.#on((queue) =>
      queue.add(data.name, data, { jobId: hashOf(data.id), priority, delay: delayMs }),
    );
  }

  /** Takes the first job; without one, the time at which the next one is due. */
  take(): Promise<Taken | { readonly dueAt: number }> {
    return this.#on(async (queue) => {
      const [json, , , dueAt] = await queue.getBackend().moveToActive(this.#options.token);
      if (!json) return { dueAt };
      const data = JSON.parse(json.data) as TaskData;
      return { id: data.id, data, acceptedAt: json.timestamp + json.delay, stalls: json.stalledCounter };
    });
  }

  /** Ends a job, unless it is no longer that of this node, or Redis has lost it. */
  finish(id: string, outcome: Outcome): Promise<Moved> {
    return this.#on((queue, library) =>
      moved(this.#job(queue, library, id).moveToCompleted(outcome, this.#options.token, false)),
    );
  }

  /** Puts a job back into the line for later. */
  giveBack(id: string, delayMs: number): Promise<Moved> {
    return this.#on((queue, library) =>
      moved(this.#job(queue, library, id).moveToDelayed(Date.now() + delayMs, this.#options.token)),
    );
  }

  /** Renews the locks of jobs. Returns those that are no longer of this node. */
  async renew(ids: readonly string[]): Promise<readonly string[]> {
    const { lockMs } = this.#options.times;
    const tokens = ids.map(() => this.#options.token);
    return this.#on(async (queue, _, connection) => {
      const byJob = new Map(ids.map((id) => [hashOf(id), id]));
      const failed = await queue.getBackend().extendLocks([...byJob.keys()], tokens, lockMs);
      const again = await Promise.all(
        failed.map((id) =>
          connection.run(
            lockAgain,
            [this.#key('active'), `${this.#key(id)}:lock`, this.#key('stalled'), this.#key(id)],
            [id, this.#options.token, String(lockMs)],
          ),
        ),
      );
      return failed.filter((_, at) => Number(again[at]) === 0).map((job) => byJob.get(job) as string);
    });
  }

  /** Ends a job that waits. */
  async cancel(id: string, outcome: Outcome): Promise<'cancelled' | 'running' | 'ended' | 'none'> {
    const job = hashOf(id);
    const keys = ['prioritized', 'delayed', 'wait', 'completed', job].map((key) => this.#key(key));
    const args = [job, JSON.stringify(outcome), String(Date.now())];
    const code = await this.#options.link.run(cancelWaiting, keys, args);
    return (['running', 'cancelled', 'ended', 'none'] as const)[Number(code)] ?? 'none';
  }

  /** Reads a job. The line may be one that a client has made up: it costs one command. */
  async read(id: string): Promise<Stored | undefined> {
    const fields = ['data', 'timestamp', 'delay', 'processedOn', 'finishedOn', 'returnvalue'];
    const values = await this.#options.link.send('HMGET', this.#key(hashOf(id)), ...fields);
    return stored(values as readonly (string | null)[]);
  }

  /** Gives the next turn to the job that has waited longest. */
  async raiseOldest(): Promise<void> {
    await this.#options.link.run(raiseOldest, [this.#key('prioritized')], [String(lastBullPriority)]);
  }

  /** Puts jobs of lost nodes back, at the front, and returns their ids in BullMQ. */
  sweep(): Promise<readonly string[]> {
    return this.#on((queue) => queue.getBackend().moveStalledJobsToWait());
  }

  /** The number of jobs that wait, delayed ones included, how many of them are due, and whether a delay is over. */
  async waiting(): Promise<{ readonly all: number; readonly due: number; readonly isDelayOver: boolean }> {
    const { link } = this.#options;
    const [line, front, delayed, next] = (await Promise.all([
      link.send('ZCARD', this.#key('prioritized')),
      link.send('LLEN', this.#key('wait')),
      link.send('ZCARD', this.#key('delayed')),
      link.send('ZCOUNT', this.#key('delayed'), '-inf', String((Date.now() + 1) * delaySpan)),
    ])) as [number, number, number, number];
    return { all: line + front + delayed, due: line + front, isDelayOver: next > 0 };
  }

  /** The number of jobs before this one; undefined when it does not wait in the line. */
  async ahead(id: string): Promise<number | undefined> {
    const rank = await this.#options.link.send('ZRANK', this.#key('prioritized'), hashOf(id));
    return rank === null ? undefined : Number(rank);
  }

  #key(name: string): string {
    return `${this.#options.prefix}:${this.name}:${name}`;
  }

  /** A job by its id: one that was taken on an earlier connection belongs to that. */
  #job(queue: Queue, { Job }: BullLibrary, id: string): Job {
    const { keepMs, maxKept } = this.#options.keeping;
    const removeOnComplete = { age: Math.ceil(keepMs / 1000), count: Math.max(1, maxKept) };
    return Job.fromJSON(queue, { ...blank, opts: { removeOnComplete } }, hashOf(id));
  }

  #on<T>(work: (queue: Queue, library: BullLibrary, connection: RedisConnection) => Promise<T>): Promise<T> {
    return this.#options.link.use(async (connection) => {
      const library = await loadBull();
      let queue = this.#queues.get(connection);
      if (!queue) {
        queue = this.#open(connection, library);
        queue.catch(() => this.#queues.delete(connection));
        this.#queues.set(connection, queue);
      }
      return work(await queue, library, connection);
    });
  }

  async #open(connection: RedisConnection, library: BullLibrary): Promise<Queue> {
    const { lockMs, stalledMs } = this.#options.times;
    const queue = new library.Queue(this.name, {
      connection: adapterOf(connection, library),
      prefix: this.#options.prefix,
      skipVersionCheck: true,
      streams: { events: { maxLen: maxEvents } },
      // Options of its worker, for the commands of a worker that are used here.
      ...{ lockDuration: lockMs, stalledInterval: stalledMs, maxStalledCount: Number.MAX_SAFE_INTEGER },
    });
    queue.on('error', () => {}); // the link says it
    await queue.waitUntilReady();
    return queue;
  }
}

const blank: JobJson = { name: '', data: '', delay: 0, timestamp: 0, stalledCounter: 0 };

const adapters = new WeakMap<RedisConnection, ReturnType<BullLibrary['createNodeRedisClient']>>();

/** One for all queues of a connection, so that scripts are loaded once. */
function adapterOf(connection: RedisConnection, library: BullLibrary) {
  let adapter = adapters.get(connection);
  if (!adapter) {
    adapter = library.createNodeRedisClient(connection.client);
    adapter.on('error', () => {}); // the link says it
    adapters.set(connection, adapter);
  }
  return adapter;
}

const notThere = -1;

/** BullMQ throws an error with a negative code: without the job, without its lock, and where it is not running. */
async function moved(move: Promise<unknown>): Promise<Moved> {
  try {
    await move;
    return 'moved';
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (typeof code === 'number' && code < 0) return code === notThere ? 'gone' : 'lost';
    throw error;
  }
}

function stored(values: readonly (string | null)[]): Stored | undefined {
  const [data, timestamp, delay, processedOn, finishedOn, returnvalue] = values;
  if (typeof data !== 'string') return undefined;
  const endedAt = typeof finishedOn === 'string' ? Number(finishedOn) : undefined;
  return {
    data: JSON.parse(data) as TaskData,
    isRunning: typeof processedOn === 'string',
    acceptedAt: Number(timestamp),
    delayMs: Number(delay),
    endedAt,
    outcome: endedAt === undefined ? undefined : (JSON.parse(returnvalue ?? '{}') as Outcome),
  };
}
