import {
  type ClientErrorCode,
  type DeadLetter,
  type EventBus,
  type Logger,
  messageOf,
  type SubmitOptions,
  type TaskDefinition,
  type TaskEngine,
  type TaskInput,
  type TaskOutput,
  type TaskPriority,
  type TaskRetries,
  type TaskRun,
  type TaskStats,
  taskPriorities,
  toClientError,
  WaggleError,
  type Watcher,
} from '#kernel';
import {
  type Checked,
  checkNow,
  ExpiringSet,
  fromClient,
  KeyedRuns,
  type RequestKey,
  requestKey,
  wrongDurations,
} from '#sdk';
import type { Config } from './config.js';
import type { Lane } from './lane.js';
import { PriorityQueue } from './priority-queue.js';
import { QueuePositionNotifier } from './queue-position-notifier.js';
import { Counts, RegisteredTask } from './registered-task.js';
import { type Outcome, Run, type StopReason } from './run.js';

const lanes = ['main', 'worker'] as const;
/** Where a run takes place. */
export type LaneName = (typeof lanes)[number];

const retryAfterMs = { least: 100, most: 30_000, unknown: 1000 } as const;
/** What no second try can change, and what says so of itself. */
const nonRetryableCodes = new Set<ClientErrorCode>(['INVALID_REQUEST', 'SHUTTING_DOWN']);
/** What a dead letter keeps of an error's text. */
const reasonChars = 1000;
const crashCodes = new Set<ClientErrorCode>(['TASK_CRASHED', 'TASK_OUT_OF_MEMORY', 'TASK_TIMEOUT']);

/**
 * Admits runs, lets them wait for their turn, tries them on a lane and keeps the books: whatever is submitted succeeds,
 * fails, is cancelled or is rejected, once.
 */
export class Engine implements TaskEngine, Watcher<TaskDefinition> {
  readonly #config: Config;
  readonly #lanes: Readonly<Record<LaneName, Lane>>;
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #queues: Readonly<Record<LaneName, PriorityQueue<Run>>>;
  readonly #kinds = new Map<string, RegisteredTask>();
  readonly #counts = new Counts();
  readonly #queued: Record<TaskPriority, number> = { low: 0, normal: 0, high: 0, urgent: 0 };
  readonly #runs = new Map<string, Run>();
  readonly #unended = new Set<Run>();
  readonly #keyed = new KeyedRuns<Run>();
  readonly #kept: ExpiringSet<Run>;
  readonly #deadLetters: DeadLetter[] = [];
  readonly #notifier: QueuePositionNotifier;
  readonly #workers: () => TaskStats['workers'];
  readonly #runEvents = {
    cancel: (run: Run) => this.#cancel(run),
    grew: (chars: number) => this.#grew(chars),
  };
  /** Of all that runs hold. */
  #chars = 0;
  #delayed = 0;
  #draining = false;
  #onEmpty: (() => void) | undefined;

  constructor(
    config: Config,
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
  }

  get figures(): TaskStats {
    return this.stats;
  }

  get stats(): TaskStats {
    return {
      ...this.#counts,
      queued: { ...this.#queued },
      delayed: this.#delayed,
      workers: this.#workers(),
    };
  }

  get deadLetters(): readonly DeadLetter[] {
    return this.#deadLetters;
  }

  countsOf(name: string): Counts | undefined {
    const kind = this.#kinds.get(name);
    return kind && { ...kind.counts };
  }

  find(taskId: string): TaskRun | undefined {
    return this.#runs.get(taskId);
  }

  submit<N extends string>(
    name: N,
    input: TaskInput<N>,
    options: SubmitOptions = {},
  ): TaskRun<TaskOutput<N>> {
    const key = requestKey(options.owner, options.idempotencyKey, { name, input: input ?? {} });
    const run = this.#keyed.find(key) ?? this.#submit(name, input, options, key);
    // What its schema promises is checked before it succeeds.
    return run as unknown as TaskRun<TaskOutput<N>>;
  }

  /** A task was registered. @throws what is wrong with it */
  added(definition: TaskDefinition): void {
    this.#lanes[definition.lane].accept(definition);
    this.#kinds.set(definition.name, new RegisteredTask(definition, this.#config.ageEvery));
  }

  /** A task was unregistered: what waits is cancelled, what runs may end for a while. */
  async removed(definition: TaskDefinition): Promise<void> {
    const kind = this.#kinds.get(definition.name);
    if (kind?.definition !== definition) return;
    this.#kinds.delete(definition.name);
    kind.registered = false;
    const theirs = [...this.#unended].filter((run) => run.kind === kind);
    const running = theirs.filter((run) => run.state === 'running');
    for (const run of theirs) if (!running.includes(run)) void run.cancel();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#config.unregisterGraceMs);
    });
    await Promise.race([Promise.all(running.map((run) => run.whenEnded())), late]);
    clearTimeout(timer);
    await Promise.all(running.map((run) => run.cancel()));
    await this.#lanes[definition.lane].forget(definition);
  }

  /** Refuses new runs, lets the others end until the deadline, then cancels the rest. */
  async drain(deadline: AbortSignal): Promise<void> {
    this.#draining = true;
    if (this.#unended.size > 0)
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
        deadline.addEventListener('abort', () => resolve(), { once: true });
        if (deadline.aborted) resolve();
      });
    await this.#cancelAll();
  }

  /** Cancels whatever is left, and ends the lanes. */
  async close(): Promise<void> {
    this.#draining = true;
    await this.#cancelAll();
    this.#kept.clear();
    this.#notifier.close();
    await Promise.all(lanes.map((lane) => this.#lanes[lane].close()));
  }

  /** Something in a lane has become free. */
  pump(lane: LaneName): void {
    const queue = this.#queues[lane];
    while (queue.size > 0 && this.#lanes[lane].free > 0) {
      const run = queue.take() as Run;
      if (run.kind.busy) this.#place(run, run.kind.parked);
      else this.#start(run);
    }
    this.#notifier.changed();
  }

  #submit(name: string, input: unknown, options: SubmitOptions, key: RequestKey | undefined): Run {
    const kind = this.#kinds.get(name);
    const counts = [this.#counts, ...(kind ? [kind.counts] : [])];
    for (const each of counts) each.submitted++;
    try {
      this.#keyed.claim(key);
      return this.#admit(kind, name, input, options, key);
    } catch (error) {
      for (const each of counts) each.rejected++;
      this.#bus.emit('task:rejected', { name, code: toClientError(error).code });
      throw error;
    }
  }

  #admit(
    kind: RegisteredTask | undefined,
    name: string,
    input: unknown,
    options: SubmitOptions,
    key: RequestKey | undefined,
  ): Run {
    if (this.#draining) throw new WaggleError('SHUTTING_DOWN', { retryAfterMs: retryAfterMs.unknown });
    if (!kind) throw new WaggleError('TASK_UNKNOWN', { task: name.slice(0, 128) });
    const { definition } = kind;
    const { timeoutMs, delayMs } = options;
    const issues = [...wrongDurations({ timeoutMs }, 1), ...wrongDurations({ delayMs })];
    if (issues.length > 0) throw new WaggleError('INVALID_REQUEST', { issues });
    const queue = this.#queues[definition.lane];
    const atOnce =
      !options.delayMs && !kind.busy && queue.size === 0 && this.#lanes[definition.lane].free > 0;
    // Before the input is looked at: a refusal is to cost little.
    if (!atOnce) this.#checkRoom(kind);
    const checked = definition.input ? checkNow(definition.input, input, fromClient) : { value: input };
    const value = checked instanceof Promise ? undefined : inputOf(checked);
    const limits = {
      priority: this.#priorityOf(definition, options),
      timeoutMs: Math.min(
        options.timeoutMs ?? Number.POSITIVE_INFINITY,
        definition.timeoutMs ?? this.#config.timeoutMs,
      ),
      maxPartials: this.#config.maxPartials,
    };
    const run = new Run(kind, options, limits, this.#runEvents);
    if (!run.takes(checked instanceof Promise ? input : value)) throw this.#full();
    this.#runs.set(run.id, run);
    this.#unended.add(run);
    this.#keyed.keep(key, run);
    this.#count(run, 'waiting', 1);
    this.#bus.emit('task:queued', { taskId: run.id, name, priority: run.priority });
    if (checked instanceof Promise) void this.#enqueueChecked(run, checked);
    else this.#accept(run);
    return run;
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

  #priorityOf({ priority = 'normal' }: TaskDefinition, options: SubmitOptions): TaskPriority {
    if (options.priority === undefined) return priority;
    const { maxPriority } = this.#config;
    const rank = (each: TaskPriority) => taskPriorities.indexOf(each);
    return rank(options.priority) > rank(maxPriority) ? maxPriority : options.priority;
  }

  async #enqueueChecked(run: Run, checking: Promise<Checked<unknown>>): Promise<void> {
    run.leave = () => {};
    try {
      const input = inputOf(await checking);
      if (run.ended) return;
      if (!run.takes(input)) throw this.#full();
      this.#accept(run);
    } catch (error) {
      if (!run.ended) this.#end(run, { state: 'failed', error: toClientError(error) });
    }
  }

  #accept(run: Run): void {
    const { delayMs } = run.options;
    if (delayMs) this.#delay(run, delayMs);
    else this.#enqueue(run);
  }

  #enqueue(run: Run): void {
    const { lane } = run.kind.definition;
    run.state = 'queued';
    this.#place(run, run.kind.busy ? run.kind.parked : this.#queues[lane]);
    this.#notifier.added(run);
    this.pump(lane);
  }

  #place(run: Run, queue: PriorityQueue<Run>): void {
    const place = queue.put(run, run.priority);
    run.leave = () => void queue.remove(place);
  }

  #delay(run: Run, delayMs: number): void {
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

  #start(run: Run): void {
    this.#count(run, 'waiting', -1);
    this.#count(run, 'running', 1);
    run.starts();
    this.#bus.emit('task:started', {
      taskId: run.id,
      name: run.name,
      attempt: run.attempts,
      queuedMs: run.queuedMs,
    });
    void this.#try(run);
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
    run.pauses();
    run.kind.took(run.runMs);
    this.#count(run, 'running', -1);
    this.#next(run, outcome);
  }

  /** After a try: the end, or another one. */
  #next(run: Run, outcome: Outcome): void {
    const { kind } = run;
    const { retries } = kind.definition;
    if (
      outcome.state === 'failed' &&
      !nonRetryableCodes.has(outcome.error.code) &&
      run.attempts <= (retries?.max ?? 0) &&
      kind.registered &&
      !this.#draining
    ) {
      const delayMs = backOffMs(retries as TaskRetries, run.attempts);
      const { code } = outcome.error;
      this.#logger.info(
        { err: outcome.error, task: run.name, attempt: run.attempts, delayMs },
        'a task is tried again',
      );
      this.#bus.emit('task:retrying', {
        taskId: run.id,
        name: run.name,
        attempt: run.attempts,
        delayMs,
        code,
      });
      this.#count(run, 'waiting', 1);
      this.#delay(run, delayMs);
    } else this.#end(run, outcome);
    const next = kind.parked.take();
    if (next) {
      const queue = this.#queues[kind.definition.lane];
      const place = queue.putBack(next, next.priority);
      next.leave = () => void queue.remove(place);
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

  async #cancel(run: Run): Promise<boolean> {
    if (run.leave) {
      run.leave();
      this.#end(run, { state: 'cancelled' });
    } else if (!run.ended) {
      run.stop?.('cancel');
      await run.whenEnded();
    }
    return run.state === 'cancelled';
  }

  #end(run: Run, outcome: Outcome): void {
    if (run.leave) this.#count(run, 'waiting', -1);
    run.ends(outcome);
    this.#unended.delete(run);
    this.#notifier.left(run);
    this.#counts[outcome.state]++;
    run.kind.counts[outcome.state]++;
    this.#report(run, outcome);
    // Who asks again after a failure wants another try.
    if (outcome.state === 'failed') this.#keyed.drop(run);
    this.#kept.keep(run);
    if (this.#unended.size === 0) this.#onEmpty?.();
  }

  #report(run: Run, outcome: Outcome): void {
    const { id: taskId, name, queuedMs, runMs, attempts } = run;
    if (outcome.state === 'succeeded') this.#bus.emit('task:succeeded', { taskId, name, queuedMs, runMs });
    else if (outcome.state === 'cancelled')
      this.#bus.emit('task:cancelled', { taskId, name, attempts, queuedMs, runMs });
    else {
      const { error } = outcome;
      const { code } = error;
      this.#bus.emit('task:failed', { taskId, name, code, error, attempts, queuedMs, runMs });
      if (attempts > 1 || crashCodes.has(code))
        this.#bury({ taskId, name, attempts, code, reason: reasonOf(error), at: Date.now() });
      // Other deliberate errors are for those to tell who throw them.
      const level = code.startsWith('TASK_') ? 'warn' : 'debug';
      this.#logger[level]({ err: error, task: name, taskId: taskId.slice(0, 6), attempts }, 'a task failed');
    }
  }

  #bury(letter: DeadLetter): void {
    this.#deadLetters.push(letter);
    if (this.#deadLetters.length > this.#config.maxDeadLetters) this.#deadLetters.shift();
  }

  #forget(run: Run): void {
    this.#runs.delete(run.id);
    this.#keyed.drop(run);
    this.#grew(-run.chars);
  }

  #grew(chars: number): boolean {
    this.#chars += chars;
    while (this.#chars > this.#config.totalLimitChars) if (!this.#kept.dropOldest()) return false;
    return true;
  }

  #full(): WaggleError {
    const limit = this.#config.totalLimitChars;
    return new WaggleError('QUEUE_FULL', {
      limit,
      what: 'characters of tasks',
      retryAfterMs: retryAfterMs.unknown,
    });
  }

  #count(run: Run, what: 'waiting' | 'running', by: 1 | -1): void {
    this.#counts[what] += by;
    run.kind.counts[what] += by;
    if (what === 'waiting') this.#queued[run.priority] += by;
  }

  async #cancelAll(): Promise<void> {
    await Promise.all([...this.#unended].map((run) => run.cancel()));
  }

  *#allQueues(): Iterable<PriorityQueue<Run>> {
    for (const lane of lanes) yield this.#queues[lane];
    for (const kind of this.#kinds.values()) yield kind.parked;
  }
}

/** @throws INVALID_REQUEST */
function inputOf({ value, issues }: Checked<unknown>): unknown {
  if (!issues) return value;
  throw new WaggleError('INVALID_REQUEST', {
    issues: issues.map((mistake) => (/^[\w.]+: /.test(mistake) ? `input.${mistake}` : `input: ${mistake}`)),
  });
}

/** What tasks throw may hold anything; only errors of the catalogue go to the client as they are. */
function errorOf(run: Run, thrown: unknown): WaggleError<ClientErrorCode> {
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
