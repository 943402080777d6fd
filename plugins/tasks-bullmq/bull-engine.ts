import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AdmitOptions,
  type Cluster,
  type DeadLetter,
  type EventBus,
  type EventName,
  type KernelEvents,
  type Logger,
  type Principal,
  type Release,
  type SubmitOptions,
  type TaskCounts,
  type TaskDefinition,
  type TaskEngine,
  type TaskInput,
  type TaskOutput,
  type TaskPriority,
  type TaskRun,
  type TaskState,
  type TaskStats,
  type TaskUpdate,
  toClientError,
  type Undo,
  WaggleError,
  type Watcher,
} from '#kernel';
import {
  charsIn,
  checkNow,
  type Deferred,
  deferred,
  ExpiringSet,
  fromClient,
  HeldChars,
  IdMap,
  KeyedRuns,
  mayActFor,
  type RequestKey,
  randomId,
  requestKey,
  settleWithin,
  wrongDurations,
} from '#sdk';
import {
  checkLayout,
  checkServer,
  engineError,
  hashOf,
  parseRedisUrl,
  RedisLink,
  unavailable,
} from '#sdk/redis';
import { createLanes, Engine, inputOf, type LaneName, priorityOf } from '#sdk/tasks';
import type { Config } from './config.js';
import { Executor, type ExecutorOwner, type Held, type HeldEnd } from './executor.js';
import { ExecutorBus } from './executor-bus.js';
import { type Found, SharedKeys } from './keys.js';
import { type Entry, Ledger } from './ledger.js';
import { loadBull } from './library.js';
import { Line, type LineOptions, type LineTimes, type Stored, type TaskData } from './line.js';
import type { Outcome } from './outcome.js';
import { notJson } from './plain-json.js';
import { SharedRun } from './shared-run.js';
import { Turnstile } from './turnstile.js';

/** Bounds of the engine. */
export interface BullTimes extends LineTimes {
  /** Interval of looks at the lines. */
  readonly beatMs: number;
  /** Interval of looks at runs that this node has heard nothing of. */
  readonly reviewMs: number;
}

const bullTimes: BullTimes = { lockMs: 10_000, stalledMs: 5000, beatMs: 1000, reviewMs: 5000 };

const topics = {
  news: 'tasks:news',
  cancel: 'tasks:cancel',
  join: 'tasks:join',
  waits: 'tasks:waits',
} as const;

/** A message about a run. */
type News =
  | { readonly id: string; readonly type: 'started'; readonly attempt: number }
  | { readonly id: string; readonly type: 'retrying' | 'ended' }
  | UpdateNews;

interface UpdateNews {
  readonly id: string;
  readonly type: 'updates';
  /** Partial results before these. */
  readonly at: number;
  readonly updates: readonly TaskUpdate[];
}

const retryAfterMs = { least: 100, most: 30_000, unknown: 1000 } as const;
const cancelAgainMs = { first: 5, later: 250 } as const;
const hintMs = 20;
/** Shortest interval of looks at places in the line. */
const positionsMs = 50;
const storeMs = 2000;
/** Runs that are looked at, and listeners that are told their place, at a time. */
const most = 200;
/** Commands of `submit` under way; the rest waits for its turn, within the limits of the line. */
const maxAdds = 1000;
/** Runs of other nodes that this one follows. */
const maxFollowed = 1000;

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
  readonly #config: Config;
  readonly #cluster: Cluster;
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #times: BullTimes;
  readonly #link: RedisLink;
  readonly #keys: SharedKeys;
  readonly #local: Engine;
  readonly #lanes: ReturnType<typeof createLanes>;
  readonly #executor: Executor;
  readonly #ledger = new Ledger();
  readonly #definitions = new Map<string, TaskDefinition>();
  readonly #lines = new Map<string, Line>();
  readonly #lineOptions: LineOptions;
  /** Jobs of others that wait, by line, as they were counted last. */
  readonly #others = new Map<string, number>();
  readonly #runs = new IdMap<SharedRun>();
  /** Runs accepted here that have not ended, and those of others that are followed. */
  readonly #unended = new Set<SharedRun>();
  readonly #keyed = new KeyedRuns<SharedRun>();
  readonly #claiming = new Map<string, Promise<unknown>>();
  readonly #kept: ExpiringSet<SharedRun>;
  /** Places of the main lane, asked for and held. */
  readonly #admissions = new Map<string, Entry>();
  /** Runs whose places in the line are told. */
  readonly #listeners = new Set<SharedRun>();
  readonly #announced = new WeakSet<SharedRun>();
  readonly #missing = new WeakSet<SharedRun>();
  readonly #averages = new Map<string, number>();
  readonly #adds = new Turnstile(maxAdds);
  readonly #hints = new Set<string>();
  readonly #undos: Undo[] = [];
  readonly #runOwner = {
    cancel: (run: SharedRun) => this.#cancel(run),
    grew: (chars: number) => this.#room.add(chars),
  };
  readonly #room: HeldChars;
  #stalled = 0;
  #isDraining = false;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #changed: Deferred<void> = deferred();
  #timers: NodeJS.Timeout[] = [];
  #hintTimer: NodeJS.Timeout | undefined;
  #positionsTimer: NodeJS.Timeout | undefined;
  #isBeating = false;
  #isReviewing = false;
  #isTelling = false;

  constructor({ config, cluster, bus, logger, times = bullTimes }: BullEngineOptions) {
    this.#config = config;
    this.#cluster = cluster;
    this.#bus = bus;
    this.#logger = logger;
    this.#times = times;
    const engine = parseRedisUrl(config.url)?.name ?? 'Redis';
    this.#link = new RedisLink({
      config,
      logger,
      name: `waggle:${cluster.nodeId}:tasks`,
      prepare: async (connection) => {
        await Promise.all([
          connection.send(['INFO']).then((info) => checkServer(String(info), engine, config.allowEviction)),
          checkLayout((...args) => connection.send(args), config.prefix, engine),
        ]);
      },
      onUp: (isFirst) => {
        if (!isFirst) this.#onBack();
      },
    });
    const prefix = `{${config.prefix}:tasks}`;
    this.#keys = new SharedKeys(this.#link, prefix);
    // Another one after each start: what a process had before it was started again is not its own.
    const token = `${cluster.nodeId}:${randomId().slice(0, 8)}`;
    this.#lineOptions = { link: this.#link, prefix, times, keeping: config, token };
    this.#lanes = createLanes(config, logger, {
      free: (lane) => this.pump(lane),
      lost: (reason) => bus.emit('worker:lost', { reason }),
    });
    const executorBus = new ExecutorBus(bus, (name, event) => this.#intercept(name, event));
    this.#local = new Engine(config, this.#lanes, () => this.#lanes.stats, executorBus, logger);
    this.#executor = new Executor({
      ...{ engine: this.#local, bus, logger, ageEvery: config.ageEvery },
      definitionOf: (name) => this.#definitions.get(name),
      owner: this.#executorOwner(),
    });
    for (const lane of ['main', 'worker'] as const) this.#executor.add(this.#line(lane), lane);
    this.#kept = new ExpiringSet(config, (run) => this.#forget(run));
    this.#room = new HeldChars(config, this.#kept);
  }

  /** Connects. @throws ENGINE_UNUSABLE */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Lets jobs be taken. */
  open(): void {
    this.#lanes.open();
    if (!this.#isDraining) this.#executor.isTaking = true;
  }

  get figures(): TaskStats {
    return this.stats;
  }

  get stats(): TaskStats {
    const { total, queued, delayed } = this.#ledger;
    const workers = this.#lanes.stats;
    return { ...total, queued: { ...queued }, delayed, workers, stalled: this.#stalled };
  }

  countsOf(name: string): TaskCounts | undefined {
    const counts = this.#ledger.of(name);
    return counts && { ...counts };
  }

  deadLetters(): Promise<readonly DeadLetter[]> {
    return (this.#starting ?? Promise.resolve()).then(() => this.#keys.deadLetters());
  }

  async find(taskId: string, principal?: Principal): Promise<TaskRun | undefined> {
    const known = this.#runs.get(taskId);
    if (known) return mayActFor(principal, known.data.owner) ? known : undefined;
    const found = await this.#lookUp(taskId);
    return found instanceof SharedRun && mayActFor(principal, found.data.owner) ? found : undefined;
  }

  async submit<N extends string>(
    name: N,
    input: TaskInput<N>,
    options: SubmitOptions = {},
  ): Promise<TaskRun<TaskOutput<N>>> {
    const key = requestKey(options.owner, options.idempotencyKey, { name, input: input ?? {} });
    for (let before = key && this.#claiming.get(key.id); key && before; before = this.#claiming.get(key.id))
      await before.catch(() => {}); // whoever has asked hears of it
    const known = this.#keyed.find(key);
    const accepting = known ? undefined : this.#submit(name, input, options, key);
    if (key && accepting) {
      const done = () => void this.#claiming.delete(key.id);
      this.#claiming.set(key.id, accepting);
      accepting.then(done, done);
    }
    // The output is checked against its schema where it runs.
    return (known ?? (await accepting)) as unknown as TaskRun<TaskOutput<N>>;
  }

  admit(name: string, options: AdmitOptions = {}): Promise<Release> {
    if (!this.#isDraining) return this.#local.admit(name, options);
    const error = new WaggleError('SHUTTING_DOWN', { retryAfterMs: retryAfterMs.unknown });
    this.#ledger.rejected(name);
    this.#bus.emit('task:rejected', { name, code: error.code, userId: options.owner });
    throw error;
  }

  /** Adds a registered task. @throws why it cannot run */
  added(definition: TaskDefinition): void {
    const { name, lane } = definition;
    this.#local.added(definition);
    this.#definitions.set(name, definition);
    this.#ledger.open(name);
    const line = this.#lineOf(definition);
    if (line.name !== lane)
      this.#executor.add(line, lane, () => definition.concurrency ?? Number.POSITIVE_INFINITY);
    else this.#executor.learned(line.name);
  }

  /** Removes an unregistered task: what was accepted here and waits is cancelled at once, what runs here after a grace period. */
  async removed(definition: TaskDefinition): Promise<void> {
    const { name, lane } = definition;
    if (this.#definitions.get(name) !== definition) return;
    this.#definitions.delete(name);
    const line = this.#lineOf(definition);
    if (line.name !== lane) this.#executor.remove(line);
    const theirs = [...this.#unended].filter((run) => run.name === name && run.entry);
    const waiting = theirs.filter((run) => run.isWaiting && !this.#executor.held.has(run.id));
    // A server that stops unregisters all of its tasks: the others still know them.
    const leaving = this.#isDraining ? [] : waiting;
    const cancelled = Promise.allSettled(leaving.map((run) => this.#cancel(run)));
    this.#ledger.close(name);
    const held = theirs.filter((run) => this.#executor.held.has(run.id));
    await Promise.all([settleWithin(cancelled, storeMs), this.#local.removed(definition)]);
    await settleWithin(Promise.all(held.map((run) => run.over)), storeMs);
  }

  /** Refuses new runs. What waits is left to the other nodes, or served while there is none; at the deadline the rest that runs here is cancelled. */
  async drain(deadline: AbortSignal): Promise<void> {
    this.#isDraining = true;
    while (!deadline.aborted && this.#hasWork()) {
      this.#executor.isTaking = this.#isAlone;
      this.#changed = deferred();
      await settleWithin(Promise.race([this.#changed.promise, sleep(this.#times.beatMs)]), deadline);
    }
    this.#executor.isTaking = false;
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
    this.#executor.pump(lane);
  }

  async #start(): Promise<void> {
    await loadBull();
    await this.#link.start();
    if (this.#closing) return;
    const { beatMs, lockMs, reviewMs } = this.#times;
    const every = (ms: number, work: () => void) => void this.#timers.push(setInterval(work, ms));
    every(beatMs, () => void this.#beat());
    every(lockMs / 3, () => void this.#renew());
    every(reviewMs, () => void this.#review());
    const cluster = this.#cluster;
    this.#undos.push(
      cluster.on(topics.news, (body, from) => this.#hear(body as News, from)),
      cluster.on(topics.cancel, (body) => void this.#executor.held.get((body as News).id)?.run?.cancel()),
      cluster.on(topics.join, (body, from) => this.#onJoin(body as { id: string; at: number }, from)),
      cluster.on(topics.waits, (body) => this.#executor.wake(String(body))),
      cluster.watch({
        gone: () => this.#change(),
        gap: () => void this.#review(),
        emptied: () => void this.#addAgain(),
      }),
      cluster.publishLoad(() => ({ tasksRunning: this.#executor.held.size })),
    );
  }

  async #close(): Promise<void> {
    this.#isDraining = true;
    this.#executor.isTaking = false;
    await this.#starting?.catch(() => {}); // said where it was awaited
    await this.#local.close();
    await this.#stored();
    this.#executor.close();
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    clearTimeout(this.#hintTimer);
    clearTimeout(this.#positionsTimer);
    for (const undo of this.#undos.splice(0)) undo();
    for (const run of this.#unended) run.leaves();
    this.#kept.clear();
    await this.#link.close();
  }

  get #isAlone(): boolean {
    return this.#cluster.alive().length === 1;
  }

  #hasWork(): boolean {
    if (this.#executor.held.size > 0 || this.#admissions.size > 0) return true;
    return this.#isAlone && [...this.#unended].some((run) => run.entry && run.state === 'queued');
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
  }

  // Accepting

  #submit(name: string, input: unknown, options: SubmitOptions, key: RequestKey | undefined) {
    let entry: Entry | undefined;
    const refuse = (error: unknown): never => {
      if (entry) this.#ledger.refuse(entry);
      else this.#ledger.rejected(name);
      this.#bus.emit('task:rejected', { name, code: toClientError(error).code, userId: options.owner });
      throw error;
    };
    try {
      this.#keyed.claim(key);
      if (this.#isDraining) throw new WaggleError('SHUTTING_DOWN', { retryAfterMs: retryAfterMs.unknown });
      const definition = this.#definitions.get(name);
      if (!definition) throw new WaggleError('TASK_UNKNOWN', { task: name.slice(0, 128) });
      this.#check(definition, input, options);
      const line = this.#lineOf(definition);
      const { delayMs = 0, onQueued } = options;
      const priority = priorityOf(definition, options, this.#config);
      entry = this.#ledger.enter(name, priority, delayMs > 0 ? 'delayed' : 'queued');
      // The line is the last part: a log shows the first characters.
      const id = `${randomId()}.${line.name}`;
      const data: TaskData = {
        ...{ id, name, input, priority, by: this.#cluster.nodeId },
        ...{ owner: options.owner, connection: options.connection, timeoutMs: options.timeoutMs },
        key: key && this.#keys.nameOf(key),
      };
      const { maxPartials } = this.#config;
      const run = new SharedRun({ id, line, data, maxPartials, delayMs, entry, onQueued }, this.#runOwner);
      return this.#accept(run, key).catch(refuse);
    } catch (error) {
      return Promise.reject(error).catch(refuse);
    }
  }

  async #accept(run: SharedRun, key: RequestKey | undefined): Promise<SharedRun> {
    if (!this.#room.add(run.chars)) {
      this.#room.free(run.chars);
      const details = { limit: this.#config.totalLimitChars, what: 'characters of tasks' };
      throw new WaggleError('QUEUE_FULL', { ...details, retryAfterMs: retryAfterMs.unknown });
    }
    const { id, line, data, delayMs } = run;
    try {
      await this.#starting;
      const known = key && (await this.#keys.claim(key, id, (other) => this.#keyedRun(other)));
      if (known) {
        this.#room.free(run.chars);
        // It is counted where it was accepted.
        if (run.entry) this.#ledger.forget(run.entry);
        return known;
      }
      this.#runs.set(id, run);
      this.#unended.add(run);
      this.#keyed.keep(key, run);
      await this.#adds.pass(() => line.add(data, delayMs));
    } catch (error) {
      this.#room.free(run.chars);
      this.#runs.delete(id);
      this.#unended.delete(run);
      this.#keyed.drop(run);
      throw engineError(error);
    }
    this.#announce(run);
    await this.#executor.takeOne(line);
    if (run.isWaiting && delayMs === 0 && this.#executor.room(line) === 0) this.#hint(line);
    if (run.onQueued) this.#listeners.add(run);
    this.#tellPositions();
    return run;
  }

  /** Before the input is checked a refusal has to be cheap. @throws INVALID_REQUEST, QUEUE_FULL */
  #check(definition: TaskDefinition, input: unknown, { timeoutMs, delayMs }: SubmitOptions): void {
    const issues = [...wrongDurations({ timeoutMs }, 1), ...wrongDurations({ delayMs })];
    if (issues.length > 0) throw new WaggleError('INVALID_REQUEST', { issues });
    this.#checkRoom(definition, delayMs);
    const wrong = notJson(input);
    if (wrong !== undefined)
      throw new WaggleError('INVALID_REQUEST', {
        issues: [`input${wrong} is not JSON, which tasks of several servers need`],
      });
    if (!definition.input) return;
    // It is checked again where it runs, and one whose check takes its time only there.
    const checked = checkNow(definition.input, input, fromClient);
    if (checked instanceof Promise) checked.catch(() => {});
    else inputOf(checked);
  }

  #checkRoom(definition: TaskDefinition, delayMs = 0): void {
    const line = this.#lineOf(definition);
    const { queueLimit } = this.#config;
    const { maxQueued = queueLimit, name } = definition;
    const room = delayMs > 0 ? 0 : this.#executor.room(line);
    const others = [...this.#others.values()].reduce((sum, count) => sum + count, 0);
    const waiting = this.#ledger.total.waiting - room;
    const theirs = (this.#ledger.of(name)?.waiting ?? 0) - room;
    const isFull = waiting >= 0 && waiting + others >= queueLimit;
    const isTaskFull =
      theirs >= 0 &&
      theirs + (this.#others.get(line.name) ?? 0) * Number(line.name !== definition.lane) >= maxQueued;
    if (!isFull && !isTaskFull) return;
    const running = this.#ledger.of(name)?.running ?? 0;
    const estimateMs = (this.#averages.get(name) ?? 0) / Math.max(1, running) || retryAfterMs.unknown;
    throw new WaggleError('QUEUE_FULL', {
      limit: Math.min(queueLimit, maxQueued),
      what: 'tasks waiting',
      retryAfterMs: Math.round(Math.min(retryAfterMs.most, Math.max(retryAfterMs.least, estimateMs))),
    });
  }

  #announce(run: SharedRun): void {
    if (this.#announced.has(run)) return;
    this.#announced.add(run);
    const { id: taskId, name, priority } = run;
    this.#bus.emit('task:queued', { taskId, name, priority, userId: run.data.owner });
  }

  /** Other nodes may have free places. */
  #hint({ name }: Line): void {
    this.#hints.add(name);
    this.#hintTimer ??= setTimeout(() => {
      this.#hintTimer = undefined;
      for (const line of this.#hints) void this.#cluster.broadcast(topics.waits, line);
      this.#hints.clear();
    }, hintMs);
  }

  // Running

  #executorOwner(): ExecutorOwner {
    return {
      taken: ({ taken }) => {
        const run = this.#runs.get(taken.id);
        if (run?.entry) this.#announce(run);
      },
      started: (held) => {
        const { id } = held.taken;
        this.#onStarted(this.#runs.get(id), this.#cluster.nodeId, held.attempt);
        this.#tell(held, { id, type: 'started', attempt: held.attempt });
      },
      retrying: (held) => {
        const { id } = held.taken;
        this.#move(this.#runs.get(id), 'delayed');
        this.#tell(held, { id, type: 'retrying' });
      },
      told: (held, updates) => {
        const { id } = held.taken;
        this.#runs.get(id)?.tells(updates);
        const at = held.partials.length - updates.filter(({ type }) => type === 'partial').length;
        this.#tell(held, { id, type: 'updates', at, updates });
      },
      stored: (held, end) => this.#onStored(held, end),
      ended: (held, { outcome, error }) => {
        const { id, data } = held.taken;
        const average = this.#averages.get(data.name) ?? outcome.runMs;
        this.#averages.set(data.name, average * 0.9 + outcome.runMs * 0.1);
        this.#onEnded(this.#runs.get(id), outcome, error);
        this.#tell(held, { id, type: 'ended' });
        this.#change();
        this.#tellPositions();
      },
      lost: ({ taken }) => {
        const run = this.#runs.get(taken.id);
        if (run && run.runner === this.#cluster.nodeId) this.#move(run, 'queued');
        this.#change();
      },
    };
  }

  async #onStored({ taken }: Held, { outcome, error }: HeldEnd): Promise<void> {
    const { id: taskId, data } = taken;
    const { keepMs, maxDeadLetters } = this.#config;
    const { attempts } = outcome;
    const hasFailed = outcome.state === 'failed';
    let letter = hasFailed
      ? (await this.#local.deadLetters()).filter((each) => each.taskId === taskId).at(-1)
      : undefined;
    if (error?.code === 'TASK_CRASHED' && taken.stalls > 0)
      letter ??= {
        taskId,
        name: data.name,
        attempts,
        code: error.code,
        reason: error.message,
        at: Date.now(),
      };
    try {
      await Promise.all([
        letter && this.#keys.bury(letter, maxDeadLetters),
        data.key !== undefined && this.#keys.release(data.key, hasFailed, keepMs),
      ]);
    } catch (err) {
      this.#logger.warn({ err, task: data.name }, 'a dead letter or the key of a request may be missing');
    }
  }

  #intercept<K extends EventName>(name: K, event: KernelEvents[K]): boolean {
    if (this.#executor.onEvent(name, event)) return true;
    const about = event as {
      readonly taskId: string;
      readonly name: string;
      readonly priority: TaskPriority;
    };
    if (name === 'task:rejected') this.#ledger.rejected(about.name);
    if (name === 'task:queued')
      this.#admissions.set(about.taskId, this.#ledger.enter(about.name, about.priority));
    const entry = this.#admissions.get(about.taskId);
    const state = states[name];
    if (!entry || !state) return false;
    this.#ledger.move(entry, state);
    if (state === 'running') return false;
    this.#admissions.delete(about.taskId);
    // The engine frees the place after its event.
    queueMicrotask(() => this.#executor.pump('main'));
    this.#change();
    return false;
  }

  // What is heard of runs

  #tell({ listeners }: Held, news: News): void {
    for (const node of listeners) {
      if (node === this.#cluster.nodeId) continue;
      try {
        void this.#cluster.send(node, topics.news, news);
      } catch (err) {
        // Their readers see a gap; the result is in Redis.
        this.#logger.warn({ err, taskId: news.id.slice(0, 6) }, 'an update is too large for other servers');
      }
    }
  }

  #hear(news: News, from: string): void {
    const run = this.#runs.get(news.id);
    if (!run || run.ended) return;
    if (news.type === 'started') this.#onStarted(run, from, news.attempt);
    else if (news.type === 'retrying') this.#move(run, 'delayed');
    else if (news.type === 'updates') this.#hearUpdates(run, news, from);
    else void this.#refresh(run).catch(() => {}); // the next review looks again
  }

  #hearUpdates(run: SharedRun, { at, updates }: UpdateNews, from: string): void {
    if (run.runner !== from) {
      run.runner = from;
      run.heard = 0;
    }
    if (at > run.heard) {
      this.#join(run);
      return;
    }
    let known = run.heard - at;
    const fresh = updates.filter(({ type }) => type === 'progress' || known-- <= 0);
    run.heard += fresh.filter(({ type }) => type === 'partial').length;
    if (fresh.length > 0) run.tells(fresh);
  }

  /** Asks its runner for all updates that are missing here. */
  #join(run: SharedRun): void {
    const body = { id: run.id, at: run.heard };
    if (run.runner === undefined) void this.#cluster.broadcast(topics.join, body);
    else void this.#cluster.send(run.runner, topics.join, body);
  }

  #onJoin({ id, at }: { readonly id: string; readonly at: number }, from: string): void {
    const held = this.#executor.held.get(id);
    if (!held || held.isEnding) return;
    held.listeners.add(from);
    const one = { ...held, listeners: new Set([from]) };
    if (held.attempt > 0) this.#tell(one, { id, type: 'started', attempt: held.attempt });
    const updates = held.partials.slice(at);
    if (held.progress) updates.push(held.progress);
    if (updates.length > 0) this.#tell(one, { id, type: 'updates', at, updates });
  }

  #onStarted(run: SharedRun | undefined, runner: string, attempt: number): void {
    if (!run || run.ended) return;
    run.starts(runner, attempt);
    if (run.entry) this.#ledger.move(run.entry, 'running');
    this.#tellPositions();
  }

  #move(run: SharedRun | undefined, state: 'queued' | 'delayed'): void {
    if (!run || run.ended) return;
    run.waits(state);
    if (run.entry) this.#ledger.move(run.entry, state);
  }

  #onEnded(run: SharedRun | undefined, outcome: Outcome, error?: HeldEnd['error']): void {
    if (!run || run.ended) return;
    const before = run.chars;
    run.ends(outcome, error);
    run.chars += charsIn(outcome.output) - charsIn(run.data.input);
    run.forgetInput();
    this.#room.add(run.chars - before);
    this.#unended.delete(run);
    if (run.entry) this.#ledger.move(run.entry, outcome.state);
    // The same request after a failure is another try.
    if (outcome.state === 'failed') this.#keyed.drop(run);
    if (this.#closing) this.#forget(run);
    else this.#kept.keep(run);
    this.#change();
  }

  /** Looks at what Redis has of a run. @throws ENGINE_UNAVAILABLE */
  async #refresh(run: SharedRun): Promise<void> {
    const stored = await run.line.read(run.id);
    if (run.ended || !this.#unended.has(run)) return;
    if (stored?.outcome) this.#onEnded(run, stored.outcome);
    else if (stored?.isRunning && run.runner === undefined) this.#join(run);
    else if (!stored) await this.#onMissing(run);
  }

  /** Redis has lost its job. It is looked at twice, as it may be on its way. */
  async #onMissing(run: SharedRun): Promise<void> {
    if (!this.#missing.has(run) || this.#executor.held.has(run.id)) {
      this.#missing.add(run);
      return;
    }
    this.#missing.delete(run);
    if (!run.entry) {
      this.#unended.delete(run);
      this.#forget(run);
      run.leaves();
    } else await this.#again(run);
  }

  async #addAgain(): Promise<void> {
    for (const run of this.#unended)
      if (run.entry && !this.#executor.held.has(run.id))
        await this.#again(run).catch((err) =>
          this.#logger.warn({ err, task: run.name }, 'a run is not in Redis; it is added later'),
        );
  }

  async #again(run: SharedRun): Promise<void> {
    if (run.ended) return;
    if (this.#definitions.get(run.name)?.rerun === 'never' && run.attempts > 0) {
      const error = new WaggleError('TASK_CRASHED', { task: run.name, why: 'the engine has lost it' });
      const { attempts, queuedMs, runMs, name, id: taskId } = run;
      const about = { taskId, name, userId: run.data.owner, queuedMs, runMs, attempts };
      this.#bus.emit('task:failed', { ...about, code: error.code, error });
      this.#onEnded(run, { state: 'failed', error, attempts, queuedMs, runMs });
      return;
    }
    await run.line.add(run.data, run.state === 'delayed' ? run.delayMs : 0);
    this.#executor.wake(run.line.name);
    this.#hint(run.line);
  }

  async #lookUp(id: string): Promise<Found<SharedRun>> {
    const known = this.#runs.get(id);
    if (known) return known;
    const lineName = /^[\w-]{24}\.(main|worker|t-[\w-]{22})$/.exec(id)?.[1];
    if (lineName === undefined) return undefined;
    await this.#starting;
    const line = this.#lines.get(lineName) ?? new Line(lineName, this.#lineOptions);
    const stored = await line.read(id);
    const again = this.#runs.get(id);
    if (again || !stored) return again;
    const { endedAt, outcome } = stored;
    if (endedAt !== undefined && Date.now() - endedAt > this.#config.keepMs) return 'expired';
    const run = this.#follow(id, line, stored);
    if (outcome) run.ends(outcome);
    return run;
  }

  /** The same request after a failure is another try. */
  async #keyedRun(id: string): Promise<Found<SharedRun>> {
    const found = await this.#lookUp(id);
    return found instanceof SharedRun && found.state === 'failed' ? 'expired' : found;
  }

  #follow(id: string, line: Line, { data, delayMs, outcome, isRunning }: Stored): SharedRun {
    const { maxPartials } = this.#config;
    const run = new SharedRun({ id, line, data, maxPartials, delayMs }, this.#runOwner);
    if (outcome) return run;
    const followed = [...this.#unended].filter((each) => !each.entry);
    const [oldest] = followed;
    if (oldest && followed.length >= maxFollowed) {
      this.#unended.delete(oldest);
      this.#forget(oldest);
      oldest.leaves();
    }
    this.#room.add(run.chars);
    this.#runs.set(id, run);
    this.#unended.add(run);
    if (isRunning) {
      run.starts('', 1);
      run.runner = undefined;
    }
    this.#join(run);
    return run;
  }

  async #cancel(run: SharedRun): Promise<boolean> {
    for (let tries = 0; !run.ended; tries++) {
      const held = this.#executor.held.get(run.id);
      if (held?.run && !held.isEnding) await held.run.cancel();
      if (held) await settleWithin(run.over, storeMs);
      else await this.#cancelElsewhere(run);
      if (run.ended || !this.#unended.has(run)) break;
      // It has stopped, or will when its time is over; but nobody can say how it has ended.
      if (!this.#link.isUp) throw unavailable('it cannot store the end of a task now');
      await settleWithin(run.over, tries === 0 ? cancelAgainMs.first : cancelAgainMs.later);
    }
    return run.state === 'cancelled';
  }

  /** @throws ENGINE_UNAVAILABLE */
  async #cancelElsewhere(run: SharedRun): Promise<void> {
    const { id, line, attempts, queuedMs, runMs } = run;
    const outcome: Outcome = { state: 'cancelled', attempts, queuedMs, runMs };
    const found = await line.cancel(id, outcome);
    if (found === 'cancelled') {
      const { name, data } = run;
      if (data.key !== undefined)
        await this.#keys.release(data.key, false, this.#config.keepMs).catch(() => {}); // it expires later
      this.#bus.emit('task:cancelled', { taskId: id, name, userId: data.owner, attempts, queuedMs, runMs });
      this.#onEnded(run, outcome);
      if (data.by !== this.#cluster.nodeId)
        void this.#cluster.send(data.by, topics.news, { id, type: 'ended' } satisfies News);
    } else if (found === 'running') void this.#cluster.broadcast(topics.cancel, { id });
    else await this.#refresh(run);
  }

  #forget(run: SharedRun): void {
    this.#runs.delete(run.id);
    this.#keyed.drop(run);
    this.#room.free(run.chars);
  }

  // Looks

  #onBack(): void {
    void this.#renew();
    for (const line of this.#executor.lines) this.#executor.wake(line.name);
    void this.#review();
  }

  async #beat(): Promise<void> {
    if (this.#isBeating || !this.#link.isUp) return;
    this.#isBeating = true;
    try {
      await Promise.all(this.#executor.lines.map((line) => this.#look(line)));
      this.#tellPositions();
    } catch (error) {
      this.#complain(error, 'the lines cannot be looked at');
    } finally {
      this.#isBeating = false;
    }
  }

  async #look(line: Line): Promise<void> {
    const stalled = await line.sweep();
    this.#stalled += stalled.length;
    for (const job of stalled)
      this.#logger.warn({ job, line: line.name }, 'a run is back in the line: its server is lost');
    let own = 0;
    const { all, due, isDelayOver } = await line.waiting();
    for (const run of this.#unended) if (run.entry && run.line === line && run.isWaiting) own++;
    this.#others.set(line.name, Math.max(0, all - own));
    if (due > 0 || isDelayOver) this.#executor.wake(line.name, due === 0);
  }

  async #renew(): Promise<void> {
    if (!this.#link.isUp) return;
    await this.#executor.renew().catch((error) => this.#complain(error, 'locks cannot be renewed'));
  }

  /** Asks Redis about runs of which nothing is heard. */
  async #review(): Promise<void> {
    if (this.#isReviewing || !this.#link.isUp) return;
    this.#isReviewing = true;
    try {
      const silent = [...this.#unended].filter(
        (run) => !this.#executor.held.has(run.id) && (run.entry === undefined || this.#announced.has(run)),
      );
      for (let at = 0; at < silent.length; at += most)
        await Promise.all(silent.slice(at, at + most).map((run) => this.#refresh(run)));
    } catch (error) {
      this.#complain(error, 'runs cannot be looked at');
    } finally {
      this.#isReviewing = false;
    }
  }

  /** Tells those who wait how many are before them, soon. */
  #tellPositions(): void {
    if (this.#listeners.size === 0) return;
    this.#positionsTimer ??= setTimeout(() => {
      this.#positionsTimer = undefined;
      void this.#positions();
    }, positionsMs);
  }

  async #positions(): Promise<void> {
    if (this.#isTelling || !this.#link.isUp) return;
    this.#isTelling = true;
    try {
      const waiting = [...this.#unended]
        .filter((run) => run.onQueued && run.state === 'queued')
        .slice(0, most);
      await Promise.all(
        waiting.map(async (run) => {
          const ahead = await run.line.ahead(run.id);
          if (ahead === undefined || ahead === run.ahead || !run.isWaiting) return;
          run.ahead = ahead;
          try {
            run.onQueued?.(ahead);
          } catch (err) {
            this.#logger.error({ err, task: run.name }, 'a listener of the line failed');
          }
        }),
      );
    } catch (error) {
      this.#complain(error, 'places in the line cannot be told');
    } finally {
      this.#isTelling = false;
    }
  }

  #complain(err: unknown, message: string): void {
    // Without a connection the link has said so.
    const level = WaggleError.is(engineError(err), 'ENGINE_UNAVAILABLE') ? 'debug' : 'error';
    this.#logger[level]({ err }, message);
  }

  #lineOf({ name, lane, concurrency, maxQueued }: TaskDefinition): Line {
    const isOwn = concurrency !== undefined || maxQueued !== undefined;
    return this.#line(isOwn ? `t-${hashOf(name)}` : lane);
  }

  #line(name: string): Line {
    let line = this.#lines.get(name);
    if (!line) {
      line = new Line(name, this.#lineOptions);
      this.#lines.set(name, line);
    }
    return line;
  }
}

const states: Partial<Record<EventName, Exclude<TaskState, 'queued' | 'delayed'>>> = {
  'task:started': 'running',
  'task:succeeded': 'succeeded',
  'task:failed': 'failed',
  'task:cancelled': 'cancelled',
};
