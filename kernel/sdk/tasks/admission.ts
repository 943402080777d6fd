import type { AdmitOptions, Release, TaskPriority } from '../../contracts/task.js';
import { WaggleError } from '../../errors.js';
import { type Cancellation, cancellationOf } from '../cancellation.js';
import { deferred } from '../deferred.js';
import type { RegisteredTask } from './registered-task.js';
import { type Outcome, Turn } from './turn.js';

/** A place on the main lane for work that its owner runs: it waits like a run, then is held until its release. */
export class Admission extends Turn {
  readonly options: AdmitOptions;
  readonly cancellation: Cancellation;
  /** Rejects once it has left the line. */
  readonly place = deferred<Release>();

  constructor(kind: RegisteredTask, priority: TaskPriority, options: AdmitOptions) {
    super(kind, priority, options);
    this.options = options;
    this.cancellation = cancellationOf(options);
  }

  override ends(outcome: Outcome): void {
    super.ends(outcome);
    if (this.attempts === 0) this.place.reject(new WaggleError('TASK_CANCELLED', { task: this.name }));
  }
}
