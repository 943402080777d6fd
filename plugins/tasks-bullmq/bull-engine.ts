import { setTimeout as sleep } from 'node:timers/promises';
import type {
  AdmitOptions,
  Cluster,
  DeadLetter,
  EventBus,
  Logger,
  Principal,
  Release,
  SubmitOptions,
  TaskCounts,
  TaskDefinition,
  TaskEngine,
  TaskInput,
  TaskOutput,
  TaskRun,
  TaskStats,
  Undo,
  Watcher,
} from '#kernel';
import { type Deferred, deferred, mayActFor, randomId, settleWithin } from '#sdk';
import { checkLayout, checkServer, parseRedisUrl, RedisLink } from '#sdk/redis';
import { createLanes, Engine, type LaneName } from '#sdk/tasks';
import { Acceptor } from './acceptor.js';
import { Admissions } from './admissions.js';
import { Canceller } from './canceller.js';
import type { Config } from './config.js';
import { Executor } from './executor.js';
import { ExecutorBus } from './executor-bus.js';
import { Follower } from './follower.js';
import { Hints } from './hints.js';
import { SharedKeys } from './keys.js';
import { loadBull } from './library.js';
import { LineWatch } from './line-watch.js';
import { Lines } from './lines.js';
import { logFailure } from './log-failure.js';
import { Places } from './places.js';
import { QueueLimit } from './queue-limit.js';
import { Reviewer } from './reviewer.js';
import { type News, RunNews, topics } from './run-news.js';
import { RunReports } from './run-reports.js';
import { RunTable } from './run-table.js';
import { SharedRun } from './shared-run.js';
import { type BullTimes, bullTimes, storeMs } from './times.js';

/** Parts of a node, and its bounds. */
export interface BullEngineOptions {
  readonly config: Config;
  readonly cluster: Cluster;
  readonly bus: EventBus;
  readonly logger: Logger;
  readonly times?: BullTimes;
}

/**
 * Tasks in lines that all nodes share: each accepts runs into Redis, takes runs while it has free places, and runs them on an engine of
 * its own. Counts are of what this node has accepted, events of what it does.
 */
export class BullEngine implements TaskEngine, Watcher<TaskDefinition> {
  readonly #cluster: Cluster;
  readonly #logger: Logger;
  readonly #times: BullTimes;
  readonly #definitions = new Map<string, TaskDefinition>();
  readonly #link: RedisLink;
  readonly #keys: SharedKeys;
  readonly #lines: Lines;
  readonly #table: RunTable;
  readonly #lanes: ReturnType<typeof createLanes>;
  readonly #local: Engine;
  readonly #admissions: Admissions;
  readonly #executor: Executor;
  readonly #places: Places;
  readonly #hints: Hints;
  readonly #news: RunNews;
  readonly #reviewer: Reviewer;
  readonly #canceller: Canceller;
  readonly #follower: Follower;
  readonly #acceptor: Acceptor;
  readonly #watch: LineWatch;
  readonly #undos: Undo[] = [];
  #timers: NodeJS.Timeout[] = [];
  #changed: Deferred<void> = deferred();
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor({ config, cluster, bus, logger, times = bullTimes }: BullEngineOptions) {
    this.#cluster = cluster;
    this.#logger = logger;
    this.#times = times;
    const link = createLink(config, cluster, logger, () => this.#onBack());
    this.#link = link;
    const prefix = `{${config.prefix}:tasks}`;
    this.#keys = new SharedKeys(link, prefix);
    // Another one after each start: what a process had before it was started again is not its own.
    const token = `${cluster.nodeId}:${randomId().slice(0, 8)}`;
    this.#lines = new Lines({ link, prefix, times, keeping: config, token });
    const changed = () => this.#change();
    this.#table = new RunTable({ config, bus, cancel: (run) => this.#canceller.cancel(run), changed });
    const limit = new QueueLimit(config, this.#table.ledger);
    this.#places = new Places(link, logger);
    this.#hints = new Hints(cluster);

    this.#lanes = createLanes(config, logger, {
      free: (lane) => this.pump(lane),
      lost: (reason) => bus.emit('worker:lost', { reason }),
    });
    this.#admissions = new Admissions(this.#table.ledger, () => {
      // The engine frees the place after its event.
      queueMicrotask(() => this.#executor.fetcher.pump('main'));
      changed();
    });
    const localBus = new ExecutorBus(bus, (name, event) => {
      if (this.#executor.onEvent(name, event)) return true;
      this.#admissions.count(name, event);
      return false;
    });
    const engine = new Engine(config, this.#lanes, () => this.#lanes.stats, localBus, logger);
    this.#local = engine;

    const parts = {
      ...{ config, cluster, bus, logger, link, engine, limit, keys: this.#keys },
      ...{ lines: this.#lines, table: this.#table, places: this.#places, hints: this.#hints },
      definitionOf: (name: string) => this.#definitions.get(name),
      started: () => this.#starting ?? Promise.resolve(),
    };
    const news = new RunNews({
      ...parts,
      heldOf: (id) => this.#executor.held.get(id),
      ended: (run) => void this.#reviewer.refresh(run).catch(() => {}), // the next review looks again
    });
    this.#news = news;
    const owner = new RunReports({ ...parts, news, changed });
    const executor = new Executor({ ...parts, ageEvery: config.ageEvery, owner });
    this.#executor = executor;
    this.#reviewer = new Reviewer({ ...parts, news, executor });
    this.#canceller = new Canceller({ ...parts, executor, reviewer: this.#reviewer });
    this.#follower = new Follower({ ...parts, news });
    this.#acceptor = new Acceptor({ ...parts, executor, follower: this.#follower });
    this.#watch = new LineWatch({ ...parts, fetcher: executor.fetcher });
    for (const lane of ['main', 'worker'] as const) executor.fetcher.add(this.#lines.open(lane), lane);
  }

  /** Connects. @throws ENGINE_UNUSABLE */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Lets jobs be taken. */
  open(): void {
    this.#lanes.open();
    if (!this.#acceptor.isDraining) this.#executor.fetcher.isTaking = true;
  }

  get engineCommands(): Readonly<Record<string, number>> {
    return this.#link.commands;
  }

  get figures(): TaskStats {
    return this.stats;
  }

  get stats(): TaskStats {
    const { total, queued, delayed } = this.#table.ledger;
    const workers = this.#lanes.stats;
    return { ...total, queued: { ...queued }, delayed, workers, stalled: this.#watch.stalled };
  }

  countsOf(name: string): TaskCounts | undefined {
    const counts = this.#table.ledger.of(name);
    return counts && { ...counts };
  }

  async deadLetters(): Promise<readonly DeadLetter[]> {
    await this.#starting;
    return this.#keys.deadLetters();
  }

  async find(taskId: string, principal?: Principal): Promise<TaskRun | undefined> {
    const found = await this.#follower.find(taskId);
    return found instanceof SharedRun && mayActFor(principal, found.data.owner) ? found : undefined;
  }

  async submit<N extends string>(
    name: N,
    input: TaskInput<N>,
    options: SubmitOptions = {},
  ): Promise<TaskRun<TaskOutput<N>>> {
    // The output is checked against its schema where it runs.
    return (await this.#acceptor.submit(name, input, options)) as unknown as TaskRun<TaskOutput<N>>;
  }

  admit(name: string, options: AdmitOptions = {}): Promise<Release> {
    try {
      this.#acceptor.checkOpen(options.isPart);
    } catch (error) {
      throw this.#acceptor.refuse(name, options.owner, error);
    }
    return this.#local.admit(name, options);
  }

  /** Adds a registered task. @throws why it cannot run */
  added(definition: TaskDefinition): void {
    const { name, lane } = definition;
    const { fetcher } = this.#executor;
    this.#local.added(definition);
    this.#definitions.set(name, definition);
    this.#table.ledger.open(name);
    const line = this.#lines.of(definition);
    if (line.name !== lane) fetcher.add(line, lane, () => definition.concurrency ?? Number.POSITIVE_INFINITY);
    else fetcher.learned(line.name);
  }

  /** Removes an unregistered task: what was accepted here and waits is cancelled at once, what runs here after a grace period. */
  async removed(definition: TaskDefinition): Promise<void> {
    const { name, lane } = definition;
    if (this.#definitions.get(name) !== definition) return;
    this.#definitions.delete(name);
    const { held, fetcher } = this.#executor;
    const line = this.#lines.of(definition);
    if (line.name !== lane) fetcher.remove(line);
    const theirs = [...this.#table.unended].filter((run) => run.name === name && run.entry);
    const waiting = theirs.filter((run) => run.isWaiting && !held.has(run.id));
    // A server that stops unregisters all of its tasks: the others still know them.
    const leaving = this.#acceptor.isDraining ? [] : waiting;
    const cancelled = Promise.allSettled(leaving.map((run) => this.#canceller.cancel(run)));
    this.#table.ledger.close(name);
    const running = theirs.filter((run) => held.has(run.id));
    await Promise.all([settleWithin(cancelled, storeMs), this.#local.removed(definition)]);
    await settleWithin(Promise.all(running.map((run) => run.over)), storeMs);
  }

  /** Refuses new runs. What waits is left to the other nodes, or served while there is none; at the deadline the rest that runs here is cancelled. */
  async drain(deadline: AbortSignal): Promise<void> {
    this.#acceptor.isDraining = true;
    const { fetcher } = this.#executor;
    while (!deadline.aborted && this.#hasWork()) {
      fetcher.isTaking = this.#isAlone;
      this.#changed = deferred();
      await settleWithin(Promise.race([this.#changed.promise, sleep(this.#times.beatMs)]), deadline);
    }
    fetcher.isTaking = false;
    this.#acceptor.isOver = deadline.aborted;
    await this.#local.drain(deadline);
    await this.#stored();
  }

  /** Cancels what runs here, and leaves the rest to the others. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Starts what waits while a lane has free places. */
  pump(lane: LaneName): void {
    this.#local.pump(lane);
    this.#executor.fetcher.pump(lane);
  }

  async #start(): Promise<void> {
    await loadBull();
    await this.#link.start();
    if (this.#closing) return;
    const { beatMs, lockMs, reviewMs } = this.#times;
    const every = (ms: number, work: () => void) => void this.#timers.push(setInterval(work, ms));
    every(beatMs, () => void this.#watch.look().then(() => this.#places.tell()));
    every(lockMs / 3, () => void this.#renew());
    every(reviewMs, () => void this.#reviewer.review());
    const { held, fetcher } = this.#executor;
    this.#undos.push(
      ...this.#news.listen(),
      this.#cluster.on(topics.cancel, (body) => void held.get((body as News).id)?.run?.cancel()),
      this.#cluster.on(topics.waits, (body) => fetcher.wake(String(body))),
      this.#cluster.watch({
        gone: () => this.#change(),
        gap: () => void this.#reviewer.review(),
        emptied: () => void this.#reviewer.addAgain(),
      }),
      this.#cluster.publishLoad(() => ({ tasksRunning: held.size })),
    );
  }

  async #close(): Promise<void> {
    this.#acceptor.isDraining = this.#acceptor.isOver = true;
    this.#table.closing();
    this.#executor.fetcher.isTaking = false;
    await this.#starting?.catch(() => {}); // said where it was awaited
    await this.#local.close();
    await this.#stored();
    this.#executor.close();
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    this.#hints.close();
    this.#places.close();
    for (const undo of this.#undos.splice(0)) undo();
    this.#table.close();
    await this.#link.close();
  }

  get #isAlone(): boolean {
    return this.#cluster.alive().length === 1;
  }

  #hasWork(): boolean {
    if (this.#executor.held.size > 0 || this.#admissions.size > 0) return true;
    return this.#isAlone && [...this.#table.unended].some((run) => run.entry && run.state === 'queued');
  }

  /** Waits until the ends of what ran here are stored; without Redis they are not, and the others run it again. */
  async #stored(): Promise<void> {
    const until = AbortSignal.timeout(storeMs);
    while (this.#executor.held.size > 0 && !until.aborted) {
      this.#changed = deferred();
      await settleWithin(this.#changed.promise, until);
    }
  }

  #change(): void {
    this.#changed.resolve();
    this.#places.tell();
  }

  #onBack(): void {
    void this.#renew();
    for (const line of this.#executor.fetcher.lines) this.#executor.fetcher.wake(line.name);
    void this.#reviewer.review();
  }

  async #renew(): Promise<void> {
    if (!this.#link.isUp) return;
    await this.#executor.renew().catch((error) => logFailure(this.#logger, error, 'locks cannot be renewed'));
  }
}

function createLink(config: Config, cluster: Cluster, logger: Logger, onBack: () => void): RedisLink {
  const engine = parseRedisUrl(config.url)?.name ?? 'Redis';
  return new RedisLink({
    ...{ config, logger, name: `waggle:${cluster.nodeId}:tasks` },
    prepare: async (connection) => {
      await Promise.all([
        connection.send(['INFO']).then((info) => checkServer(String(info), engine, config.allowEviction)),
        checkLayout((...args) => connection.send(args), config.prefix, engine),
      ]);
    },
    onUp: (isFirst) => {
      if (!isFirst) onBack();
    },
  });
}
