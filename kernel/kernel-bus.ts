import type { BusEvent, BusWatcher, EventBus, EventName, KernelEvents, Listener } from './contracts/bus.js';
import type { Undo } from './contracts/effect.js';
import { EmissionGuard } from './emission-guard.js';
import type { WaggleError } from './errors.js';

type AnyListener = (event: never) => void | Promise<void>;
type OnError = (error: unknown, event: string) => void;

const maxWaiting = 10_000;

/** The event bus of one kernel. */
export class Bus implements EventBus {
  readonly #listeners = new Map<string, readonly AnyListener[]>();
  readonly #onListenerError: OnError;
  readonly #guard = new EmissionGuard();
  /** The last loop that was reported. */
  #told: WaggleError | undefined;
  #watches: readonly Watch[] = [];

  /** `onListenerError` gets the name of the event, or `*` where a watcher failed. */
  constructor(onListenerError: OnError) {
    this.#onListenerError = onListenerError;
  }

  on<K extends EventName>(name: K, listener: Listener<K>): Undo {
    // A wrapper per call, so that the same function may listen twice and leave once.
    const own: Listener<K> = (event) => listener(event);
    // Arrays are replaced, never mutated: a listener may unsubscribe while an event is being delivered.
    this.#listeners.set(name, [...this.#of(name), own]);
    return () => {
      const rest = this.#of(name).filter((other) => other !== own);
      if (rest.length > 0) this.#listeners.set(name, rest);
      else this.#listeners.delete(name);
    };
  }

  emit<K extends EventName>(name: K, event: KernelEvents[K]): void {
    const loop = this.#guard.enter(name);
    if (loop) {
      this.#tell(loop);
      return;
    }
    this.#record(name, event);
    for (const listener of this.#of(name)) {
      try {
        const result = (listener as Listener<K>)(event);
        if (result instanceof Promise) result.catch((error: unknown) => this.#onListenerError(error, name));
      } catch (error) {
        this.#onListenerError(error, name);
      }
      const { loop } = this.#guard;
      if (!loop) continue;
      this.#tell(loop);
      break;
    }
    this.#guard.leave();
  }

  async emitSeries<K extends EventName>(name: K, event: KernelEvents[K]): Promise<void> {
    this.#record(name, event);
    for (const listener of this.#of(name)) await this.#within(name, () => (listener as Listener<K>)(event));
  }

  /** Calls a listener as a part of the emission. @throws KERNEL_EVENT_LOOP; as the listener */
  #within<T>(name: string, call: () => T): T {
    const loop = this.#guard.enter(name);
    if (loop) {
      this.#tell(loop);
      throw loop;
    }
    try {
      return call();
    } finally {
      this.#guard.leave();
    }
  }

  watch(watcher: BusWatcher): Undo {
    const own = new Watch(watcher, this.#onListenerError);
    this.#watches = [...this.#watches, own];
    return () => {
      this.#watches = this.#watches.filter((other) => other !== own);
      own.end();
    };
  }

  #tell(loop: WaggleError<'KERNEL_EVENT_LOOP'>): void {
    if (loop !== this.#told) this.#onListenerError(loop, loop.details.event);
    this.#told = loop;
  }

  #record(name: EventName, event: unknown): void {
    if (this.#watches.length === 0) return;
    const recorded = { name, event, at: performance.now() } as BusEvent;
    for (const watch of this.#watches) watch.take(recorded);
  }

  #of(name: string): readonly AnyListener[] {
    return this.#listeners.get(name) ?? [];
  }
}

/** One watcher with the events of this turn of the event loop. */
class Watch {
  readonly #watcher: BusWatcher;
  readonly #onError: OnError;
  /** A ring once it is full. */
  #waiting: BusEvent[] = [];
  #count = 0;
  #turn: NodeJS.Immediate | undefined;

  constructor(watcher: BusWatcher, onError: OnError) {
    this.#watcher = watcher;
    this.#onError = onError;
  }

  take(event: BusEvent): void {
    this.#waiting[this.#count++ % maxWaiting] = event;
    this.#turn ??= setImmediate(() => void this.#deliver());
  }

  end(): void {
    clearImmediate(this.#turn);
    this.#waiting = [];
  }

  async #deliver(): Promise<void> {
    const dropped = Math.max(0, this.#count - maxWaiting);
    const oldest = dropped % maxWaiting;
    const events = [...this.#waiting.slice(oldest), ...this.#waiting.slice(0, oldest)];
    this.#waiting = [];
    this.#count = 0;
    this.#turn = undefined;
    try {
      await this.#watcher({ events, dropped });
    } catch (error) {
      this.#onError(error, '*');
    }
  }
}
