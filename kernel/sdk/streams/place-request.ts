import type { AdmitOptions, TaskPriority } from '../../contracts/task.js';
import { LazySignal } from '../lazy-signal.js';
import type { LocalReply } from './local-reply.js';

/** The request of a reply for a place in the line. */
export class PlaceRequest extends LazySignal<LocalReply> implements AdmitOptions {
  readonly priority: TaskPriority | undefined;
  readonly owner: string;
  /** It was accepted before, and may have waited for its turn in its conversation. */
  readonly isPart = true;
  readonly onQueued: (ahead: number) => void;
  readonly onStop: () => void;

  constructor(reply: LocalReply, priority: TaskPriority | undefined) {
    super(reply);
    this.priority = priority;
    this.owner = reply.userId;
    this.onQueued = (ahead) => reply.wait(ahead);
    this.onStop = () => void reply.cancel('shutdown');
  }
}
