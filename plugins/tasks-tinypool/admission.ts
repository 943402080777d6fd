import { type AdmitOptions, type Release, type TaskPriority, WaggleError } from '#kernel';
import { deferred } from '#sdk';
import type { RegisteredTask } from './registered-task.js';
import { type Outcome, Turn } from './turn.js';

/** A place on the main lane for work that its owner runs: it waits like a run, then is held until its release. */
export class Admission extends Turn {
  readonly options: AdmitOptions;
  /** Rejects once it has left the line. */
  readonly place = deferred<Release>();

  constructor(kind: RegisteredTask, priority: TaskPriority, options: AdmitOptions) {
    super(kind, priority, options.onQueued);
    this.options = options;
  }

  get aborted(): boolean {
    const { options } = this;
    return options.isAborted ? options.isAborted() : options.signal?.aborted === true;
  }

  override ends(outcome: Outcome): void {
    super.ends(outcome);
    if (this.attempts === 0) this.place.reject(new WaggleError('TASK_CANCELLED', { task: this.name }));
  }
}
