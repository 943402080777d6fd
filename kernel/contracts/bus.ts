import type { Undo } from './effect.js';

/** All events by name. Add yours: `declare module 'waggle-server' { interface KernelEvents { … } }`. */
export interface KernelEvents {
  /** Announces each state of the kernel. */
  'kernel:state': { readonly from: string; readonly to: string };
  /** Announces each state of a plugin; `error`: the reason of a failure. */
  'plugin:state': {
    readonly plugin: string;
    readonly from: string;
    readonly to: string;
    readonly error?: unknown;
  };
}

/** The name of an event. */
export type EventName = keyof KernelEvents & string;
/** Called with each event of one name. */
export type Listener<K extends EventName> = (event: KernelEvents[K]) => void | Promise<void>;

/** An event with its name; `at` is a time of `performance.now()`. */
export type BusEvent = {
  readonly [K in EventName]: { readonly name: K; readonly event: KernelEvents[K]; readonly at: number };
}[EventName];
/** The events of one turn of the event loop, in order. */
export interface BusBatch {
  readonly events: readonly BusEvent[];
  /** The number of earlier events that found no room. */
  readonly dropped: number;
}
/** Called with all events. */
export type BusWatcher = (batch: BusBatch) => void | Promise<void>;

/** Announces events. It never carries tokens: those flow through async iterables. */
export interface EventBus {
  on<K extends EventName>(name: K, listener: Listener<K>): Undo;
  /**
   * Calls listeners now and never throws: a failing listener is logged and does not affect the others. An event that leads
   * to itself within a turn of the event loop is stopped and logged once.
   */
  emit<K extends EventName>(name: K, event: KernelEvents[K]): void;
  /** Awaits listeners in order. The first failure stops the series and reaches the caller. @throws KERNEL_EVENT_LOOP */
  emitSeries<K extends EventName>(name: K, event: KernelEvents[K]): Promise<void>;
  /** Delivers all events, once per turn and never inside `emit`, so watchers never block emitters; at most the newest 10,000. */
  watch(watcher: BusWatcher): Undo;
}
