import type { TaskCounts, TaskDefinition } from '../../contracts/task.js';
import { PriorityQueue } from './priority-queue.js';
import type { Turn } from './turn.js';

/** Counts of one task, or of all tasks together. */
export class Counts implements TaskCounts {
  submitted = 0;
  succeeded = 0;
  failed = 0;
  cancelled = 0;
  rejected = 0;
  waiting = 0;
  running = 0;
}

/** One registered task, with the runs that wait because of its own concurrency limit. */
export class RegisteredTask {
  readonly definition: TaskDefinition;
  readonly counts = new Counts();
  /** Runs that wait until another run of the same task has ended. */
  readonly parked: PriorityQueue<Turn>;
  /** False once it is unregistered. */
  registered = true;

  constructor(definition: TaskDefinition, ageEvery: number) {
    this.definition = definition;
    this.parked = new PriorityQueue(ageEvery);
  }

  /** Moving average of the duration of a try; 0 before the first. */
  averageMs = 0;

  took(runMs: number): void {
    this.averageMs = this.averageMs === 0 ? runMs : this.averageMs * 0.9 + runMs * 0.1;
  }

  get busy(): boolean {
    return this.counts.running >= (this.definition.concurrency ?? Number.POSITIVE_INFINITY);
  }
}
