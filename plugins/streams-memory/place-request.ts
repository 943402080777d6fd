import type { AdmitOptions, TaskPriority } from '#kernel';
import { LazySignal } from '#sdk';
import type { MemoryReply } from './memory-reply.js';

/** The request of a reply for a place in the line. */
export class PlaceRequest extends LazySignal<MemoryReply> implements AdmitOptions {
  readonly priority: TaskPriority | undefined;
  readonly owner: string;
  readonly onQueued: (ahead: number) => void;
  readonly onStop: () => void;

  constructor(reply: MemoryReply, priority: TaskPriority | undefined) {
    super(reply);
    this.priority = priority;
    this.owner = reply.userId;
    this.onQueued = (ahead) => reply.wait(ahead);
    this.onStop = () => void reply.cancel('shutdown');
  }
}
