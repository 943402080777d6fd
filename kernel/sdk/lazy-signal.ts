import type { LazyAbortController } from './lazy-abort-controller.js';

/** The origin of a `LazySignal`. */
export interface SignalSource {
  readonly abort: LazyAbortController;
}

/** The key of the source. Getters read it by this key, because they also serve proxies and objects with such a prototype. */
const origin = Symbol('source');

interface Lazy<Source> {
  readonly [origin]: Source;
}

/**
 * A property for `Object.defineProperty` that takes its value from the source of each object. Its getter is shared: V8 keeps
 * those of object literals until the next major garbage collection, with all that they close over.
 */
export function lazyProperty<Source>(
  read: (source: Source) => unknown,
): PropertyDescriptor & ThisType<Lazy<Source>> {
  return {
    // So that `{ ...options }` has it.
    enumerable: true,
    get() {
      return read(this[origin]);
    },
  };
}

const lazySignal = lazyProperty(({ abort }: SignalSource) => abort.signal);

/** Base class of options with a `signal` that is created when it is read. */
export abstract class LazySignal<Source extends SignalSource = SignalSource> implements Lazy<Source> {
  declare readonly signal: AbortSignal;
  readonly [origin]: Source;
  /** Its presence shows an object that is not derived from another one. */
  readonly #abort: LazyAbortController;

  constructor(source: Source) {
    this[origin] = source;
    this.#abort = source.abort;
    Object.defineProperty(this, 'signal', lazySignal);
  }

  /** The abort behind the signal. Undefined for other objects and for those derived from such options, whose signal may differ. */
  static abortOf(options: object): LazyAbortController | undefined {
    return #abort in options ? options.#abort : undefined;
  }
}
