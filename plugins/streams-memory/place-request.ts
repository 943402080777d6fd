import type { AdmitOptions, TaskPriority } from '#kernel';
import type { MemoryReply } from './memory-reply.js';

/** The request of a reply for a place in the line. The signal of the reply is created where the engine reads it. */
export class PlaceRequest implements AdmitOptions {
  readonly priority: TaskPriority | undefined;
  readonly #reply: MemoryReply;

  constructor(reply: MemoryReply, priority: TaskPriority | undefined) {
    this.#reply = reply;
    this.priority = priority;
  }

  get signal(): AbortSignal {
    return this.#reply.abort.signal;
  }

  isAborted(): boolean {
    return this.#reply.abort.isAborted();
  }

  readonly onQueued = (ahead: number): void => this.#reply.wait(ahead);

  readonly onStop = (): void => void this.#reply.cancel('shutdown');
}
