import type { EventName, KernelEvents, TaskPriority, TaskState } from '#kernel';
import type { Entry, Ledger } from './ledger.js';

const states: Partial<Record<EventName, Exclude<TaskState, 'queued' | 'delayed'>>> = {
  'task:started': 'running',
  'task:succeeded': 'succeeded',
  'task:failed': 'failed',
  'task:cancelled': 'cancelled',
};

/** Places of the main lane, asked for and held, as the ledger counts them. */
export class Admissions {
  readonly #ledger: Ledger;
  readonly #entries = new Map<string, Entry>();
  /** Called when a place is free again. */
  readonly #freed: () => void;

  constructor(ledger: Ledger, freed: () => void) {
    this.#ledger = ledger;
    this.#freed = freed;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Counts an event of the local engine that is about no job. */
  count<K extends EventName>(name: K, event: KernelEvents[K]): void {
    const about = event as {
      readonly taskId: string;
      readonly name: string;
      readonly priority: TaskPriority;
    };
    if (name === 'task:rejected') this.#ledger.rejected(about.name);
    if (name === 'task:queued')
      this.#entries.set(about.taskId, this.#ledger.enter(about.name, about.priority));
    const entry = this.#entries.get(about.taskId);
    const state = states[name];
    if (!entry || !state) return;
    this.#ledger.move(entry, state);
    if (state === 'running') return;
    this.#entries.delete(about.taskId);
    this.#freed();
  }
}
