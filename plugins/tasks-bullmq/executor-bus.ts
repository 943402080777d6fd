import type { BusWatcher, EventBus, EventName, KernelEvents, Listener, Undo } from '#kernel';

/** Sees an event first; true where it has done all that there is to do. */
export type Intercept = <K extends EventName>(name: K, event: KernelEvents[K]) => boolean;

/** The bus of the local engine: what it announces is first seen by the engine that it works for. */
export class ExecutorBus implements EventBus {
  readonly #bus: EventBus;
  readonly #intercept: Intercept;

  constructor(bus: EventBus, intercept: Intercept) {
    this.#bus = bus;
    this.#intercept = intercept;
  }

  on<K extends EventName>(name: K, listener: Listener<K>): Undo {
    return this.#bus.on(name, listener);
  }

  emit<K extends EventName>(name: K, event: KernelEvents[K]): void {
    if (!this.#intercept(name, event)) this.#bus.emit(name, event);
  }

  emitSeries<K extends EventName>(name: K, event: KernelEvents[K]): Promise<void> {
    return this.#bus.emitSeries(name, event);
  }

  watch(watcher: BusWatcher): Undo {
    return this.#bus.watch(watcher);
  }
}
