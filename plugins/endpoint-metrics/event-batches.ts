import type { EventBus, EventName, KernelEvents, Listener } from '#kernel';

const batch = 256;

/**
 * The events of a bus, many at a time: a busy server that counted each by itself would fetch the code and the series of all
 * metrics into the caches of its processor for every answer.
 */
export class EventBatches implements Pick<EventBus, 'on'> {
  readonly #bus: Pick<EventBus, 'on'>;
  readonly #failed: (error: unknown, event: string) => void;
  #names: EventName[] = [];
  #listeners: ((event: never) => unknown)[] = [];
  #events: unknown[] = [];

  /** `failed` is called for a listener that throws; the others get their events all the same. */
  constructor(bus: Pick<EventBus, 'on'>, failed: (error: unknown, event: string) => void) {
    this.#bus = bus;
    this.#failed = failed;
  }

  /** As that of the bus; the listener may be called later, and at the next `drain()` at the latest. */
  on<K extends EventName>(name: K, listener: Listener<K>) {
    return this.#bus.on(name, (event: KernelEvents[K]) => {
      this.#names.push(name);
      this.#listeners.push(listener);
      if (this.#events.push(event) >= batch) this.drain();
    });
  }

  /** Calls the listeners for all events that have come. */
  drain(): void {
    const [names, listeners, events] = [this.#names, this.#listeners, this.#events];
    this.#names = [];
    this.#listeners = [];
    this.#events = [];
    for (const [at, listener] of listeners.entries())
      try {
        listener(events[at] as never);
      } catch (error) {
        this.#failed(error, names[at] as string);
      }
  }
}
