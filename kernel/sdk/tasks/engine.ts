import { type Checked, checkNow } from '../../check.js';
import type { Principal } from '../../contracts/access.js';
import type { EventBus } from '../../contracts/bus.js';
import type { Watcher } from '../../contracts/registry.js';
import type {
  AdmitOptions,
  DeadLetter,
  Release,
  SubmitOptions,
  TaskDefinition,
  TaskEngine,
  TaskInput,
  TaskOutput,
  TaskPriority,
  TaskRetries,
  TaskRun,
  TaskStats,
  TaskUpdate,
} from '../../contracts/task.js';
import { wrongDurations } from '../../duration.js';
import { type ClientErrorCode, messageOf, toClientError, WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { mayActFor } from '../acting-user.js';
import { fromClient } from '../check-request.js';
import { deferred } from '../deferred.js';
import { ExpiringSet } from '../expiring-set.js';
import { HeldChars } from '../held-chars.js';
import { IdMap } from '../id-map.js';
import { KeyedRuns, type RequestKey, requestKey } from '../keyed-runs.js';
import { LinkedList } from '../linked-list.js';
import { settleWithin } from '../settle-within.js';
import { Admission } from './admission.js';
import { inputOf, priorityOf } from './asked.js';
import type { TasksConfig } from './config.js';
import type { Lane } from './lane.js';
import { PriorityQueue } from './priority-queue.js';
import { QueuePositionNotifier } from './queue-position-notifier.js';
import { Counts, RegisteredTask } from './registered-task.js';
import { Run } from './run.js';
import { bindingsOf, type Outcome, type StopReason, type Turn } from './turn.js';

const lanes = ['main', 'worker'] as const;
/** The name of a lane. */
export type LaneName = (typeof lanes)[number];

/** Options of a run that another engine has accepted. */
export interface ExecuteOptions extends Pick<SubmitOptions, 'owner' | 'connection' | 'timeoutMs'> {
  readonly id: string;
  readonly priority: TaskPriority;
  readonly onUpdates: (updates: readonly TaskUpdate[]) => void;
}

const retryAfterMs = { least: 100, most: 30_000, unknown: 1000 } as const;
/** Errors that a second try cannot change. */
const nonRetryableCodes = new Set<ClientErrorCode>(['INVALID_REQUEST', 'SHUTTING_DOWN']);
/** Characters of an error's text in a dead letter. */
const reasonChars = 1000;
const crashCodes = new Set<ClientErrorCode>(['TASK_CRASHED', 'TASK_OUT_OF_MEMORY', 'TASK_TIMEOUT']);

/**
 * Admits runs, queues them, tries them on a lane and counts: each submission succeeds, fails, is cancelled or is rejected,
 * exactly once.
 */
export class Engine implements TaskEngine, Watcher<TaskDefinition> {
  readonly #config: TasksConfig;
  readonly #lanes: Readonly<Record<LaneName, Lane>>;
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #queues: Readonly<Record<LaneName, PriorityQueue<Turn>>>;
  readonly #kinds = new Map<string, RegisteredTask>();
  readonly #counts = new Counts();
  readonly #queued: Record<TaskPriority, number> = { low: 0, normal: 0, high: 0, urgent: 0 };
  readonly #runs = new IdMap<Run>();
  readonly #unended = new LinkedList<Turn>();
  readonly #keyed = new KeyedRuns<Run>();
  readonly #kept: ExpiringSet<Run>;
  readonly #executed = new WeakSet<Turn>();
  readonly #deadLetters: DeadLetter[] = [];
  readonly #notifier: QueuePositionNotifier;
  readonly #workers: () => TaskStats['workers'];
  readonly #runEvents = {
    cancel: (run: Run) => this.#cancel(run),
    grew: (chars: number) => this.#room.add(chars),
  };
  readonly #room: HeldChars;
  /** Places of the main lane that are held by admissions. */
  #held = 0;
  #delayed = 0;
  #draining = false;
  /** Nothing at all is accepted any more. */
  #isOver = false;
  #onEmpty: (() => void) | undefined;

  constructor(
    config: TasksConfig,
    lanes: Readonly<Record<LaneName, Lane>>,
    workers: () => TaskStats['workers'],
    bus: EventBus,
    logger: Logger,
  ) {
    this.#config = config;
    this.#lanes = lanes;
    this.#workers = workers;
    this.#bus = bus;
    this.#logger = logger;
    const { ageEvery } = config;
    this.#queues = { main: new PriorityQueue(ageEvery), worker: new PriorityQueue(ageEvery) };
    this.#notifier = new QueuePositionNotifier(
      () => this.#allQueues(),
      (err, { name }) => logger.error({ err, task: name }, 'a listener of the line failed'),
    );
    this.#kept = new ExpiringSet(config, (run) => this.#forget(run));
    this.#room = new HeldChars(config, this.#kept);
  }

  get figures(): TaskStats {
    return this.stats;
  }

  get stats(): TaskStats {
    const queued = { ...this.#queued };
    return { ...this.#counts, queued, delayed: this.#delayed, workers: this.#workers() };
  }

  async deadLetters(): Promise<readonly DeadLetter[]> {
    return this.#deadLetters;
  }

  countsOf(name: string): Counts | undefined {
    const kind = this.#kinds.get(name);
    return kind && { ...kind.counts };
  }

  async find(taskId: string, principal?: Principal): Promise<TaskRun | undefined> {
    const run = this.#runs.get(taskId);
    return run && mayActFor(principal, run.userId) ? run : undefined;
  }

  async submit<N extends string>(
    name: N,
    input: TaskInput<N>,
    options: SubmitOptions = {},
  ): Promise<TaskRun<TaskOutput<N>>> {
    const key = requestKey(options.owner, options.idempotencyKey, { name, input: input ?? {} });
    const run =
      this.#keyed.find(key) ??
      this.#accept(name, options, key, (kind) => this.#submit(kind, input, options, key));
    // The output is checked against its schema before the run succeeds.
    return run as unknown as TaskRun<TaskOutput<N>>;
  }

  /**
   * Runs what another engine has accepted, who bounds the line and keeps the result: here it is forgotten at its end. Its input is
   * checked again, and a wrong one fails the run. @throws TASK_UNKNOWN
   */
  execute(name: string, input: unknown, options: ExecuteOptions): Run {
    const kind = this.#kinds.get(name);
    if (!kind) throw new WaggleError('TASK_UNKNOWN', { task: name });
    const run = this.#newRun(kind, options, options.priority, options.id);
    run.onUpdates = options.onUpdates;
    this.#executed.add(run);
    this.#counts.submitted++;
    kind.counts.submitted++;
    this.#runs.set(run.id, run);
    this.#enter(run);
    const { input: schema } = kind.definition;
    const checked = schema ? checkNow(schema, input, fromClient) : { value: input };
    if (checked instanceof Promise || checked.issues || !run.takes(checked.value))
      void this.#enqueueChecked(run, Promise.resolve(checked));
    else this.#enqueue(run);
    return run;
  }

  /** Runs of this lane that would start at once. */
  freePlaces(lane: LaneName): number {
    return Math.max(0, this.#free(lane) - this.#queues[lane].size);
  }

  admit(name: string, options: AdmitOptions = {}): Promise<Release> {
    return this.#accept(name, options, undefined, (kind) => {
      const { definition } = kind;
      if (definition.lane !== 'main')
        throw new WaggleError('INVALID_REQUEST', { issues: [`"${name}" is not a task of the main lane`] });
      if (!this.#isFree(kind)) this.#checkRoom(kind);
      const admission = new Admission(kind, priorityOf(definition, options, this.#config), options);
      this.#enter(admission);
      const { cancellation, place } = admission;
      const leave = () => void (admission.leave && this.#cancel(admission));
      if (cancellation.isAborted()) leave();
      else this.#enqueue(admission);
      if (admission.leave) {
        const unlisten = () => cancellation.offAbort(leave);
        cancellation.onAbort(leave);
        place.promise.then(unlisten, unlisten);
      }
      return place.promise;
    });
  }

  /** Adds a registered task. @throws why it cannot run */
  added(definition: TaskDefinition): void {
    this.#lanes[definition.lane].accept(definition);
    this.#kinds.set(definition.name, new RegisteredTask(definition, this.#config.ageEvery));
  }

  /** Removes an unregistered task: waiting runs are cancelled at once, running ones after a grace period. */
  async removed(definition: TaskDefinition): Promise<void> {
    const kind = this.#kinds.get(definition.name);
    if (kind?.definition !== definition) return;
    this.#kinds.delete(definition.name);
    kind.registered = false;
    const theirs = [...this.#unended].filter((run) => run.kind === kind);
    const running = theirs.filter((run) => run.state === 'running');
    for (const run of theirs) if (!running.includes(run)) void this.#cancel(run);
    await settleWithin(Promise.all(running.map((run) => run.whenEnded())), this.#config.unregisterGraceMs);
    await Promise.all(running.map((run) => this.#cancel(run)));
    await this.#lanes[definition.lane].forget(definition);
  }

  /** Refuses new runs other than parts of those that run, lets these end until the deadline, then cancels the rest. */
  async drain(deadline: AbortSignal): Promise<void> {
    this.#draining = true;
    const empty = deferred();
    this.#onEmpty = empty.resolve;
    if (this.#unended.size > 0) await settleWithin(empty.promise, deadline);
    // Without a run it can be that a part of other work is still to come.
    this.#isOver = deadline.aborted;
    await this.#cancelAll();
  }

  /** Cancels the rest, and ends the lanes. */
  async close(): Promise<void> {
    this.#draining = this.#isOver = true;
    await this.#cancelAll();
    this.#kept.clear();
    this.#notifier.close();
    await Promise.all(lanes.map((lane) => this.#lanes[lane].close()));
  }

  /** Starts waiting runs while the lane has free places. */
  pump(lane: LaneName): void {
    const queue = this.#queues[lane];
    while (queue.size > 0 && this.#free(lane) > 0) {
      const run = queue.take() as Turn;
      if (run.kind.busy) this.#place(run, run.kind.parked);
      else this.#start(run);
    }
    this.#notifier.changed();
  }

  /** Counts a request, and its refusal. @throws IDEMPOTENCY_MISMATCH, SHUTTING_DOWN, TASK_UNKNOWN, errors of `make` */
  #accept<T>(
    name: string,
    { owner: userId, isPart = false }: Pick<SubmitOptions, 'owner' | 'isPart'>,
    key: RequestKey | undefined,
    make: (kind: RegisteredTask) => T,
  ): T {
    const kind = this.#kinds.get(name);
    this.#counts.submitted++;
    if (kind) kind.counts.submitted++;
    try {
      this.#keyed.claim(key);
      if (this.#isOver || (this.#draining && !isPart))
        throw new WaggleError('SHUTTING_DOWN', { retryAfterMs: retryAfterMs.unknown });
      if (!kind) throw new WaggleError('TASK_UNKNOWN', { task: name.slice(0, 128) });
      return make(kind);
    } catch (error) {
      this.#counts.rejected++;
      if (kind) kind.counts.rejected++;
      this.#bus.emit('task:rejected', { name, code: toClientError(error).code, userId });
      throw error;
    }
  }

  #submit(kind: RegisteredTask, input: unknown, options: SubmitOptions, key: RequestKey | undefined): Run {
    const { definition } = kind;
    const { timeoutMs, delayMs } = options;
    const issues = [...wrongDurations({ timeoutMs }, 1), ...wrongDurations({ delayMs })];
    if (issues.length > 0) throw new WaggleError('INVALID_REQUEST', { issues });
    // Before the input is checked: a refusal has to be cheap.
    if (delayMs || !this.#isFree(kind)) this.#checkRoom(kind);
    const checked = definition.input ? checkNow(definition.input, input, fromClient) : { value: input };
    const value = checked instanceof Promise ? undefined : inputOf(checked);
    const run = this.#newRun(kind, options, priorityOf(definition, options, this.#config));
    if (!run.takes(checked instanceof Promise ? input : value)) throw this.#full();
    this.#runs.set(run.id, run);
    this.#keyed.keep(key, run);
    this.#enter(run);
    if (checked instanceof Promise) void this.#enqueueChecked(run, checked);
    else this.#delay(run, options.delayMs);
    return run;
  }

  #newRun(kind: RegisteredTask, options: SubmitOptions, priority: TaskPriority, id?: string): Run {
    const longestMs = kind.definition.timeoutMs ?? this.#config.timeoutMs;
    const timeoutMs = Math.min(options.timeoutMs ?? longestMs, longestMs);
    return new Run(kind, options, priority, timeoutMs, this.#config.maxPartials, this.#runEvents, id);
  }

  #enter(turn: Turn): void {
    turn.unended = this.#unended.push(turn);
    this.#count(turn, 'waiting', 1);
    const { id: taskId, name, userId, priority } = turn;
    this.#bus.emit('task:queued', { taskId, name, userId, priority });
  }

  #free(lane: LaneName): number {
    return this.#lanes[lane].free - (lane === 'main' ? this.#held : 0);
  }

  /** Whether a run of this task would start at once. */
  #isFree(kind: RegisteredTask): boolean {
    const { lane } = kind.definition;
    return !kind.busy && this.#queues[lane].size === 0 && this.#free(lane) > 0;
  }

  #checkRoom(kind: RegisteredTask): void {
    const { queueLimit } = this.#config;
    const { maxQueued = queueLimit } = kind.definition;
    const { running, waiting } = kind.counts;
    if (this.#counts.waiting < queueLimit && waiting < maxQueued) return;
    const estimateMs = kind.averageMs / Math.max(1, running) || retryAfterMs.unknown;
    throw new WaggleError('QUEUE_FULL', {
      limit: Math.min(queueLimit, maxQueued),
      what: 'tasks waiting',
      retryAfterMs: Math.round(Math.min(retryAfterMs.most, Math.max(retryAfterMs.least, estimateMs))),
    });
  }

  async #enqueueChecked(run: Run, checking: Promise<Checked<unknown>>): Promise<void> {
    try {
      const input = inputOf(await checking);
      if (run.ended) return;
      if (!run.takes(input)) throw this.#full();
      this.#delay(run, run.options.delayMs);
    } catch (error) {
      if (!run.ended) this.#end(run, { state: 'failed', error: toClientError(error) });
    }
  }

  #enqueue(run: Turn): void {
    const { lane } = run.kind.definition;
    run.state = 'queued';
    if (this.#isFree(run.kind)) {
      this.#queues[lane].pass();
      this.#start(run);
      return;
    }
    this.#place(run, run.kind.busy ? run.kind.parked : this.#queues[lane]);
    this.pump(lane);
    if (!run.leave) return;
    this.#notifier.added(run);
    this.#notifier.changed();
  }

  #place(run: Turn, queue: PriorityQueue<Turn>): void {
    const entry = queue.put(run, run.priority, run.userId);
    run.leave = () => void queue.remove(entry);
  }

  #delay(run: Run, delayMs = 0): void {
    if (delayMs === 0) {
      this.#enqueue(run);
      return;
    }
    run.state = 'delayed';
    this.#delayed++;
    const timer = setTimeout(() => {
      this.#delayed--;
      this.#enqueue(run);
    }, delayMs);
    run.leave = () => {
      clearTimeout(timer);
      this.#delayed--;
    };
  }

  #start(run: Turn): void {
    this.#count(run, 'waiting', -1);
    this.#count(run, 'running', 1);
    run.starts();
    const { id: taskId, name, userId, attempts: attempt, queuedMs } = run;
    this.#bus.emit('task:started', { taskId, name, userId, attempt, queuedMs });
    if (run instanceof Admission) this.#grant(run);
    else void this.#try(run as Run);
  }

  /** Gives a place on the main lane to an admission, until its release or the end of the grace period after a stop. */
  #grant(admission: Admission): void {
    const { place, kind, options } = admission;
    let grace: NodeJS.Timeout | undefined;
    const release = (failure?: unknown) => {
      if (admission.ended) return;
      clearTimeout(grace);
      this.#held--;
      this.#pause(admission);
      if (grace || admission.cancellation.isAborted()) this.#end(admission, { state: 'cancelled' });
      else if (failure === undefined) this.#end(admission, { state: 'succeeded', output: undefined });
      else this.#end(admission, { state: 'failed', error: errorOf(admission, failure) });
      this.#freed(kind);
    };
    this.#held++;
    admission.stop = () => {
      if (grace) return;
      grace = setTimeout(release, this.#config.cancelGraceMs);
      try {
        options.onStop?.();
      } catch (err) {
        this.#logger.error({ err, task: admission.name }, 'a listener of a place failed');
      }
    };
    place.resolve(release);
  }

  async #try(run: Run): Promise<void> {
    const { definition } = run.kind;
    let stopped: StopReason | undefined;
    const attempt = this.#lanes[definition.lane].start(run, run.input);
    run.stop = (reason) => {
      stopped ??= reason;
      attempt.stop();
    };
    if (run.full) run.stop('full');
    const timer = setTimeout(() => run.stop?.('timeout'), run.timeoutMs);
    let outcome: Outcome;
    try {
      const output = await attempt.done;
      outcome = await this.#checked(run, output);
    } catch (error) {
      outcome = { state: 'failed', error: errorOf(run, error) };
    }
    clearTimeout(timer);
    if (outcome.state === 'succeeded' && !run.gives(outcome.output)) stopped ??= 'full';
    if (stopped === 'cancel') outcome = { state: 'cancelled' };
    else if (stopped === 'timeout') outcome = { state: 'failed', error: timeoutOf(run, outcome) };
    else if (stopped === 'full') outcome = { state: 'failed', error: noRoomFor(run) };
    this.#pause(run);
    this.#next(run, outcome);
  }

  #pause(turn: Turn): void {
    turn.pauses();
    turn.kind.took(turn.runMs);
    this.#count(turn, 'running', -1);
  }

  /** After a try: the end, or another try. */
  #next(run: Run, outcome: Outcome): void {
    const { kind, id: taskId, name, userId, attempts: attempt } = run;
    const { retries } = kind.definition;
    if (
      outcome.state === 'failed' &&
      !nonRetryableCodes.has(outcome.error.code) &&
      attempt <= (retries?.max ?? 0) &&
      kind.registered &&
      !this.#draining
    ) {
      const delayMs = backOffMs(retries as TaskRetries, attempt);
      const { error } = outcome;
      this.#logger.info({ err: error, ...bindingsOf(run), attempt, delayMs }, 'a task is tried again');
      this.#bus.emit('task:retrying', { taskId, name, userId, attempt, delayMs, code: error.code });
      this.#count(run, 'waiting', 1);
      this.#delay(run, delayMs);
    } else this.#end(run, outcome);
    this.#freed(kind);
  }

  /** Gives the place of one run to the next. */
  #freed(kind: RegisteredTask): void {
    const next = kind.parked.take();
    if (next) {
      const queue = this.#queues[kind.definition.lane];
      const entry = queue.putBack(next, next.priority);
      next.leave = () => void queue.remove(entry);
    }
    this.pump(kind.definition.lane);
  }

  async #checked(run: Run, output: unknown): Promise<Outcome> {
    const { output: schema } = run.kind.definition;
    if (!schema) return { state: 'succeeded', output };
    const { value, issues } = await checkNow(schema, output, fromClient);
    if (!issues) return { state: 'succeeded', output: value };
    const why = 'its output is not what its definition promises';
    const cause = new Error(issues.join('; '));
    return { state: 'failed', error: new WaggleError('TASK_FAILED', { task: run.name, why }, { cause }) };
  }

  async #cancel(run: Turn): Promise<boolean> {
    if (run.leave) {
      run.leave();
      this.#end(run, { state: 'cancelled' });
    } else if (!run.ended) {
      run.stop?.('cancel');
      await run.whenEnded();
    }
    return run.state === 'cancelled';
  }

  #end(run: Turn, outcome: Outcome): void {
    if (run.leave) this.#count(run, 'waiting', -1);
    run.ends(outcome);
    if (run.unended) this.#unended.remove(run.unended);
    run.unended = undefined;
    this.#notifier.left(run);
    this.#counts[outcome.state]++;
    run.kind.counts[outcome.state]++;
    this.#report(run, outcome);
    if (run instanceof Run) {
      // The same request after a failure is another try.
      if (outcome.state === 'failed') this.#keyed.drop(run);
      if (this.#executed.has(run)) this.#forget(run);
      else this.#kept.keep(run);
    }
    if (this.#unended.size === 0) this.#onEmpty?.();
  }

  #report(run: Turn, outcome: Outcome): void {
    const { id: taskId, name, userId, queuedMs, runMs, attempts } = run;
    const about = { taskId, name, userId, queuedMs, runMs };
    if (outcome.state === 'succeeded') this.#bus.emit('task:succeeded', about);
    else if (outcome.state === 'cancelled') this.#bus.emit('task:cancelled', { ...about, attempts });
    else {
      const { error } = outcome;
      const { code } = error;
      this.#bus.emit('task:failed', { ...about, code, error, attempts });
      if (attempts > 1 || crashCodes.has(code))
        this.#bury({ taskId, name, attempts, code, reason: reasonOf(error), at: Date.now() });
      // Other codes are logged where they are thrown.
      const level = code.startsWith('TASK_') ? 'warn' : 'debug';
      this.#logger[level]({ err: error, ...bindingsOf(run), attempts }, 'a task failed');
    }
  }

  #bury(letter: DeadLetter): void {
    this.#deadLetters.push(letter);
    if (this.#deadLetters.length > this.#config.maxDeadLetters) this.#deadLetters.shift();
  }

  #forget(run: Run): void {
    this.#runs.delete(run.id);
    this.#keyed.drop(run);
    this.#room.free(run.chars);
  }

  #full(): WaggleError {
    const details = { limit: this.#config.totalLimitChars, what: 'characters of tasks' };
    return new WaggleError('QUEUE_FULL', { ...details, retryAfterMs: retryAfterMs.unknown });
  }

  #count(run: Turn, what: 'waiting' | 'running', by: 1 | -1): void {
    this.#counts[what] += by;
    run.kind.counts[what] += by;
    if (what === 'waiting') this.#queued[run.priority] += by;
  }

  async #cancelAll(): Promise<void> {
    await Promise.all([...this.#unended].map((run) => this.#cancel(run)));
  }

  *#allQueues(): Iterable<PriorityQueue<Turn>> {
    for (const lane of lanes) yield this.#queues[lane];
    for (const kind of this.#kinds.values()) yield kind.parked;
  }
}

/** An error that tasks throw may hold anything: only those of the catalogue go to clients unchanged. */
function errorOf(run: Turn, thrown: unknown): WaggleError<ClientErrorCode> {
  const error = toClientError(thrown);
  if (error.code !== 'INTERNAL') return error;
  const cause = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
  return new WaggleError('TASK_FAILED', { task: run.name, why: 'it threw an error' }, { cause });
}

function timeoutOf(run: Run, outcome: Outcome): WaggleError<ClientErrorCode> {
  const options = outcome.state === 'failed' ? { cause: outcome.error } : undefined;
  return new WaggleError('TASK_TIMEOUT', { task: run.name, timeoutMs: run.timeoutMs }, options);
}

function noRoomFor(run: Run): WaggleError<ClientErrorCode> {
  return new WaggleError('TASK_FAILED', { task: run.name, why: 'the server has no room for its results' });
}

function reasonOf({ message, cause }: Error): string {
  const reason = cause instanceof Error ? `${message}: ${cause.message}` : message;
  // A copy: a part of a text keeps the whole of it in memory.
  return Buffer.from(reason.slice(0, reasonChars), 'utf16le').toString('utf16le');
}

function backOffMs({ baseMs = 200, maxMs = 10_000 }: TaskRetries, attempts: number): number {
  return Math.ceil(Math.random() * Math.min(maxMs, baseMs * 2 ** (attempts - 1)));
}
