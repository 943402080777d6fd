import type { Undo } from './scope.js';

/** All events by name. Add yours: `declare module 'waggle-server' { interface KernelEvents { … } }`. */
export interface KernelEvents {
  /** The kernel moved on in its lifecycle. */
  'kernel:state': { readonly from: string; readonly to: string };
  /** A plugin moved on in its lifecycle; `error` says why it failed. */
  'plugin:state': {
    readonly plugin: string;
    readonly from: string;
    readonly to: string;
    readonly error?: unknown;
  };
}

/** Every name that an event may have. */
export type EventName = keyof KernelEvents & string;
/** What is called with each event of one name. */
export type Listener<K extends EventName> = (event: KernelEvents[K]) => void | Promise<void>;

/** Announces what has happened. It never carries tokens: those flow through async iterables. */
export interface EventBus {
  on<K extends EventName>(name: K, listener: Listener<K>): Undo;
  /** Calls listeners now and never throws: a failing listener is logged and does not affect the others. */
  emit<K extends EventName>(name: K, event: KernelEvents[K]): void;
  /** Awaits listeners in order. The first failure stops the series and reaches the caller. */
  emitSeries<K extends EventName>(name: K, event: KernelEvents[K]): Promise<void>;
}

type AnyListener = (event: never) => void | Promise<void>;

/** The event bus of one kernel. */
export class Bus implements EventBus {
  readonly #listeners = new Map<string, readonly AnyListener[]>();
  readonly #onListenerError: (error: unknown, event: string) => void;

  constructor(onListenerError: (error: unknown, event: string) => void) {
    this.#onListenerError = onListenerError;
  }

  on<K extends EventName>(name: K, listener: Listener<K>): Undo {
    // A wrapper of its own per call, so that the same function may listen twice and leave once.
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
    for (const listener of this.#of(name)) {
      try {
        const result = (listener as Listener<K>)(event);
        if (result instanceof Promise) result.catch((error: unknown) => this.#onListenerError(error, name));
      } catch (error) {
        this.#onListenerError(error, name);
      }
    }
  }

  async emitSeries<K extends EventName>(name: K, event: KernelEvents[K]): Promise<void> {
    for (const listener of this.#of(name)) await (listener as Listener<K>)(event);
  }

  #of(name: string): readonly AnyListener[] {
    return this.#listeners.get(name) ?? [];
  }
}
