import { type TaskCounts, type TaskPriority, type TaskState, taskPriorities } from '#kernel';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const none: TaskCounts = {
  ...{ submitted: 0, succeeded: 0, failed: 0, cancelled: 0 },
  ...{ rejected: 0, waiting: 0, running: 0 },
};

/** A submission that is counted, wherever it runs. */
export interface Entry {
  readonly name: string;
  readonly priority: TaskPriority;
  state: TaskState;
  readonly counts: readonly Mutable<TaskCounts>[];
}

/** Counts of what this node has accepted: each submission is in one state. */
export class Ledger {
  readonly total: Mutable<TaskCounts> = { ...none };
  readonly queued: Record<TaskPriority, number> = { low: 0, normal: 0, high: 0, urgent: 0 };
  delayed = 0;
  readonly #byName = new Map<string, Mutable<TaskCounts>>();

  open(name: string): void {
    this.#byName.set(name, { ...none });
  }

  close(name: string): void {
    this.#byName.delete(name);
  }

  of(name: string): TaskCounts | undefined {
    return this.#byName.get(name);
  }

  enter(name: string, priority: TaskPriority, state: TaskState = 'queued'): Entry {
    const entry = { name, priority, state, counts: this.#countsOf(name) };
    for (const counts of entry.counts) counts.submitted++;
    this.#add(entry, 1);
    return entry;
  }

  move(entry: Entry, state: TaskState): void {
    this.#add(entry, -1);
    entry.state = state;
    this.#add(entry, 1);
  }

  /** Makes a submission that was entered one that was refused. */
  refuse(entry: Entry): void {
    this.#add(entry, -1);
    for (const counts of entry.counts) counts.rejected++;
  }

  /** Takes back that a submission was entered. */
  forget(entry: Entry): void {
    this.#add(entry, -1);
    for (const counts of entry.counts) counts.submitted--;
  }

  rejected(name: string): void {
    for (const counts of this.#countsOf(name)) {
      counts.submitted++;
      counts.rejected++;
    }
  }

  #countsOf(name: string): readonly Mutable<TaskCounts>[] {
    const own = this.#byName.get(name);
    return own ? [this.total, own] : [this.total];
  }

  #add({ state, priority, counts }: Entry, by: 1 | -1): void {
    const isWaiting = state === 'queued' || state === 'delayed';
    for (const each of counts) each[isWaiting ? 'waiting' : state] += by;
    if (isWaiting) this.queued[priority] += by;
    if (state === 'delayed') this.delayed += by;
  }
}

/** Priorities of BullMQ: the least goes first, 1 is for those that have waited longest, and none at all would overtake all others. */
export function bullPriority(priority: TaskPriority): number {
  return 1 + taskPriorities.length - taskPriorities.indexOf(priority);
}

/** The greatest of them. */
export const lastBullPriority = 1 + taskPriorities.length;
