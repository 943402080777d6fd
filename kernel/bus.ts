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

/** An event with its name; `at` is when it was announced, as `performance.now()` says it. */
export type BusEvent = {
  readonly [K in EventName]: { readonly name: K; readonly event: KernelEvents[K]; readonly at: number };
}[EventName];
/** What was announced in one turn of the event loop. */
export interface BusBatch {
  /** In order. */
  readonly events: readonly BusEvent[];
  /** How many there were before these that found no room. */
  readonly dropped: number;
}
/** What is called with everything that is announced. */
export type BusWatcher = (batch: BusBatch) => void | Promise<void>;

/** Announces what has happened. It never carries tokens: those flow through async iterables. */
export interface EventBus {
  on<K extends EventName>(name: K, listener: Listener<K>): Undo;
  /**
   * Calls listeners now and never throws: a failing listener is logged and does not affect the others. What leads to itself
   * is stopped and logged once; only a loop over turns of the event loop goes on, as it holds up nobody.
   */
  emit<K extends EventName>(name: K, event: KernelEvents[K]): void;
  /** Awaits listeners in order. The first failure stops the series and reaches the caller. @throws KERNEL_EVENT_LOOP */
  emitSeries<K extends EventName>(name: K, event: KernelEvents[K]): Promise<void>;
  /**
   * Gives every event from now on, once per turn of the event loop and never inside `emit`: whoever watches holds up
   * nobody. Of a flood in one turn it gives the newest 10,000. Undone, nothing more comes.
   */
  watch(watcher: BusWatcher): Undo;
}
