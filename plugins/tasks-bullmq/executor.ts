import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ClientErrorCode,
  type EventBus,
  type EventName,
  type KernelEvents,
  type Logger,
  type TaskDefinition,
  type TaskUpdate,
  WaggleError,
} from '#kernel';
import type { Engine, Run } from '#sdk/tasks';
import { Fetcher, type Reception } from './fetcher.js';
import type { Line, Taken } from './line.js';
import type { Outcome } from './outcome.js';
import { notJson } from './plain-json.js';

/** A run that may be taken from a lost server this often; once more, and it counts as what has killed them. */
const maxStalls = 3;
/** Time after which a job has failed whose task no server knows. */
const unknownMs = 24 * 3_600_000;
const tryAgainMs = 200;

/** A job that runs on this node. */
export interface Held {
  readonly taken: Taken;
  readonly line: Line;
  run: Run | undefined;
  attempt: number;
  readonly partials: TaskUpdate[];
  progress: TaskUpdate | undefined;
  /** The nodes that want to hear of it. */
  readonly listeners: Set<string>;
  /** Its end is not stored yet. */
  isEnding: boolean;
  /** Another node has it now. */
  isLost: boolean;
  /** The part of its updates that is not JSON. */
  wrong: string | undefined;
}

/** The end of a job as its own process knows it. */
export interface HeldEnd {
  readonly outcome: Outcome;
  /** With its cause. */
  readonly error: WaggleError<ClientErrorCode> | undefined;
}

/** Called in the life of a job that runs here. */
export interface ExecutorOwner {
  taken(held: Held): void;
  started(held: Held): void;
  retrying(held: Held): void;
  told(held: Held, updates: readonly TaskUpdate[]): void;
  /** It is about to be announced: its end is stored. */
  stored(held: Held, end: HeldEnd): Promise<void>;
  ended(held: Held, end: HeldEnd): void;
  /** Another node has it now. */
  lost(held: Held): void;
}

/** Parts of an executor. */
export interface ExecutorOptions {
  readonly engine: Engine;
  readonly bus: EventBus;
  readonly logger: Logger;
  readonly ageEvery: number;
  readonly definitionOf: (name: string) => TaskDefinition | undefined;
  readonly owner: ExecutorOwner;
}

type EndEvent = 'task:succeeded' | 'task:failed' | 'task:cancelled';

/** Runs the jobs that its fetcher takes on the engine of this node, and stores their ends. */
export class Executor {
  readonly held = new Map<string, Held>();
  readonly fetcher: Fetcher;
  readonly #options: ExecutorOptions;
  readonly #closing = new AbortController();

  constructor(options: ExecutorOptions) {
    this.#options = options;
    setMaxListeners(0, this.#closing.signal); // each end that waits for Redis is one
    this.fetcher = new Fetcher({ ...options, receive: (line, taken) => this.#receive(line, taken) });
  }

  /** Renews the locks of all jobs. @throws ENGINE_UNAVAILABLE */
  async renew(): Promise<void> {
    const byLine = new Map<Line, string[]>();
    for (const { line, taken, isLost } of this.held.values())
      if (!isLost) byLine.set(line, [...(byLine.get(line) ?? []), taken.id]);
    for (const [line, ids] of byLine)
      for (const id of await line.renew(ids)) {
        const held = this.held.get(id);
        if (held) this.#lose(held);
      }
  }

  /** Handles an event of the engine; false when it is not about a job. */
  onEvent<K extends EventName>(name: K, event: KernelEvents[K]): boolean {
    const held = this.held.get((event as { readonly taskId?: string }).taskId ?? '');
    if (!held) return false;
    const { bus, owner } = this.#options;
    if (name === 'task:started') {
      const started = event as KernelEvents['task:started'];
      held.attempt = started.attempt;
      owner.started(held);
      const queuedMs = started.attempt === 1 ? waitedMs(held) : started.queuedMs;
      bus.emit('task:started', { ...started, queuedMs });
    } else if (name === 'task:retrying') {
      owner.retrying(held);
      bus.emit(name, event);
    } else if (name !== 'task:queued')
      void this.#end(held, name as EndEvent, event as KernelEvents[EndEvent]);
    return true;
  }

  /** Gives up what cannot be stored. */
  close(): void {
    this.fetcher.close();
    this.#closing.abort();
  }

  #receive(line: Line, taken: Taken): Reception {
    const { engine, definitionOf, owner } = this.#options;
    const { id, data, stalls } = taken;
    const before = this.held.get(id);
    // Redis had lost it, and it was added again. It is running here, or its end has just missed the new job.
    if (before) return before.isEnding || before.isLost ? 'later' : 'known';
    const definition = definitionOf(data.name);
    const isLate = Date.now() - taken.acceptedAt > unknownMs;
    if (!definition && !isLate) return 'later';
    const held: Held = {
      ...{ taken, line, run: undefined, attempt: 0, partials: [], progress: undefined },
      ...{ listeners: new Set([data.by]), isEnding: false, isLost: false, wrong: undefined },
    };
    this.held.set(id, held);
    owner.taken(held);
    if (!definition) this.#refuse(held, new WaggleError('TASK_UNKNOWN', { task: data.name }));
    else if (stalls > maxStalls || (stalls > 0 && definition.rerun === 'never')) {
      const why =
        stalls > maxStalls ? `${stalls} servers were lost while they ran it` : 'its server was lost';
      this.#refuse(held, new WaggleError('TASK_CRASHED', { task: data.name, why }));
    } else
      held.run = engine.execute(data.name, data.input, {
        ...{ id, priority: data.priority, owner: data.owner, connection: data.connection },
        timeoutMs: data.timeoutMs,
        onUpdates: (updates) => this.#tell(held, updates),
      });
    return 'runs';
  }

  #tell(held: Held, updates: readonly TaskUpdate[]): void {
    if (held.isEnding || held.wrong !== undefined) return;
    for (const update of updates) {
      held.wrong ??= notJson(update.value);
      if (update.type === 'progress') held.progress = update;
      else held.partials.push(update);
    }
    if (held.wrong === undefined) this.#options.owner.told(held, updates);
    else void held.run?.cancel();
  }

  #refuse(held: Held, error: WaggleError<ClientErrorCode>): void {
    const { taken } = held;
    const { name, owner: userId } = taken.data;
    const about = { taskId: taken.id, name, userId, queuedMs: waitedMs(held), runMs: 0 };
    this.#options.logger.warn({ err: error, task: name, taskId: taken.id.slice(0, 6) }, 'a task failed');
    void this.#end(held, 'task:failed', { ...about, code: error.code, error, attempts: taken.stalls });
  }

  async #end(held: Held, name: EndEvent, event: KernelEvents[EndEvent]): Promise<void> {
    const { bus, owner, logger } = this.#options;
    const { line, taken } = held;
    held.isEnding = true;
    this.fetcher.freed(line);
    const end = this.#endOf(held, name, event);
    try {
      if (held.isLost || !(await this.#store(held, end.outcome))) {
        this.held.delete(taken.id);
        logger.warn(
          { task: taken.data.name, taskId: taken.id.slice(0, 6) },
          'a run has ended that another server has taken over',
        );
        owner.lost(held);
        return;
      }
      await owner.stored(held, end);
    } catch (error) {
      logger.error(
        { err: error, task: taken.data.name },
        'the end of a task cannot be stored; it will run again',
      );
      this.held.delete(taken.id);
      return;
    }
    this.held.delete(taken.id);
    const { state, queuedMs, runMs, attempts } = end.outcome;
    const about = { taskId: taken.id, name: taken.data.name, userId: taken.data.owner, queuedMs, runMs };
    if (state === 'succeeded') bus.emit('task:succeeded', about);
    else if (state === 'cancelled') bus.emit('task:cancelled', { ...about, attempts });
    else if (end.error)
      bus.emit('task:failed', { ...about, code: end.error.code, error: end.error, attempts });
    owner.ended(held, end);
  }

  #endOf(held: Held, name: EndEvent, event: KernelEvents[EndEvent]): HeldEnd {
    const { run, taken } = held;
    const output = name === 'task:succeeded' ? run?.output : undefined;
    const wrong = held.wrong ?? notJson(output);
    const task = taken.data.name;
    const error =
      wrong === undefined
        ? (event as { readonly error?: WaggleError<ClientErrorCode> }).error
        : new WaggleError(
            'TASK_FAILED',
            { task, why: 'what it gives is not JSON' },
            { cause: new Error(wrong) },
          );
    const state = error ? 'failed' : name === 'task:succeeded' ? 'succeeded' : 'cancelled';
    const attempts = run?.attempts ?? (event as { readonly attempts?: number }).attempts ?? 0;
    const queuedMs = Math.max(0, waitedMs(held) - event.runMs);
    return {
      error,
      outcome: {
        ...{ state, attempts, queuedMs, runMs: event.runMs },
        ...(state === 'succeeded' && { output }),
        ...(error && { error: { code: error.code, details: error.details } }),
      },
    };
  }

  /** Tries until Redis is there: what has ended must not run again. */
  async #store({ line, taken }: Held, outcome: Outcome): Promise<boolean> {
    const { signal } = this.#closing;
    for (;;)
      try {
        return (await line.finish(taken.id, outcome)) !== 'lost';
      } catch (error) {
        if (!WaggleError.is(error, 'ENGINE_UNAVAILABLE') || signal.aborted) throw error;
        await sleep(tryAgainMs, undefined, { signal });
      }
  }

  #lose(held: Held): void {
    held.isLost = true;
    if (!held.isEnding) void held.run?.cancel();
  }
}

/** Time since a run was accepted or due, by the clocks of two nodes. */
function waitedMs({ taken }: Held): number {
  return Math.max(0, Date.now() - taken.acceptedAt);
}
