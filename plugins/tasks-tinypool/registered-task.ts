import type { TaskCounts, TaskDefinition } from '#kernel';
import { PriorityQueue } from './priority-queue.js';
import type { Run } from './run.js';

/** The numbers of one task, or of all together. */
export class Counts implements TaskCounts {
  submitted = 0;
  succeeded = 0;
  failed = 0;
  cancelled = 0;
  rejected = 0;
  waiting = 0;
  running = 0;
}

/** One registered task, with those of its runs that wait because it may not run more often at the same time. */
export class RegisteredTask {
  readonly definition: TaskDefinition;
  readonly counts = new Counts();
  /** Turns come to these when one of their own kind has ended. */
  readonly parked: PriorityQueue<Run>;
  /** False once it is unregistered. */
  registered = true;

  constructor(definition: TaskDefinition, ageEvery: number) {
    this.definition = definition;
    this.parked = new PriorityQueue(ageEvery);
  }

  /** How long a try takes, newer ones weighing more; 0 before the first. */
  averageMs = 0;

  took(runMs: number): void {
    this.averageMs = this.averageMs === 0 ? runMs : this.averageMs * 0.9 + runMs * 0.1;
  }

  get busy(): boolean {
    return this.counts.running >= (this.definition.concurrency ?? Number.POSITIVE_INFINITY);
  }
}
