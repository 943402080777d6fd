import { setMaxListeners } from 'node:events';
import { WaggleError } from './errors.js';

/** Reverses one thing a plugin did. Safe to call twice. */
export type Undo = () => void | Promise<void>;

/** One registration or resource of a plugin: `{ kind: 'route', name: 'GET /x', label: 'GET /x' }`. */
export interface Effect {
  readonly kind: string;
  readonly name: string;
  /** The text for people, in reports and messages. */
  readonly label: string;
}

/** An effect to be. The label is `kind name` when absent; a text alone is the label of an effect of the kind `other`. */
export type EffectName = string | (Omit<Effect, 'label'> & Partial<Effect>);

/** Undos that failed, and the labels of those that had not finished in time. */
export interface CloseReport {
  readonly errors: readonly Error[];
  readonly left: readonly string[];
}

/** Everything one plugin did, so that all of it can be undone, last thing first. */
export class EffectScope {
  readonly #effects = new Map<Undo, Effect>();
  readonly #abort = new AbortController();
  #closing: Promise<CloseReport> | undefined;

  constructor(readonly plugin: string) {
    setMaxListeners(0, this.signal); // A plugin may do any number of things that end with it.
  }

  /** Aborts when closing begins, before the first undo runs. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** In effect now, oldest first. */
  get effects(): readonly Effect[] {
    return [...this.#effects.values()];
  }

  /**
   * Runs `start` now and keeps its undo. An undo of another effect of this plugin makes the two one, with the new label.
   * @throws KERNEL_SCOPE_CLOSED, without running `start`, once closing has begun.
   */
  effect(name: EffectName, start: () => Undo): Undo;
  effect(name: EffectName, start: () => Promise<Undo>): Promise<Undo>;
  effect(name: EffectName, start: () => Undo | Promise<Undo>): Undo | Promise<Undo> {
    const effect = effectOf(name);
    const { label } = effect;
    if (this.signal.aborted) throw new WaggleError('KERNEL_SCOPE_CLOSED', { plugin: this.plugin, label });
    const started = start();
    if (!(started instanceof Promise)) return this.#keep(effect, started);
    // Kept before it has finished, so that closing waits for it and then undoes it.
    const undo = this.#keep(effect, () =>
      started.then(
        (stop) => stop(),
        () => {},
      ),
    );
    return started.then(
      () => undo,
      (error: unknown) => {
        undo();
        throw error;
      },
    );
  }

  /** Undoes everything, last thing first. After `timeoutMs` the rest is still undone, but no longer waited for. */
  close(timeoutMs: number): Promise<CloseReport> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  #keep(effect: Effect, stop: Undo): Undo {
    const inner = this.#effects.get(stop);
    if (inner) {
      this.#effects.set(stop, { ...inner, label: effect.label });
      return stop;
    }
    let undone: { readonly result: void | Promise<void> } | undefined;
    const undo = () => {
      if (undone) return undone.result;
      const done = () => void this.#effects.delete(undo);
      // Set before it runs: an undo may call itself.
      undone = { result: undefined };
      try {
        const result = stop();
        undone = { result: result instanceof Promise ? result.finally(done) : result };
      } finally {
        if (!(undone.result instanceof Promise)) done();
      }
      return undone.result;
    };
    this.#effects.set(undo, effect);
    return undo;
  }

  async #close(timeoutMs: number): Promise<CloseReport> {
    const errors: Error[] = [];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    this.#abort.abort();
    for (const [undo, { label }] of [...this.#effects].reverse()) {
      const fail = (cause: unknown) =>
        void errors.push(new Error(`undoing "${label}" failed: ${String(cause)}`, { cause }));
      await Promise.race([(async () => undo())().catch(fail), late]);
    }
    clearTimeout(timer);
    return { errors, left: this.effects.map(({ label }) => label) };
  }
}

function effectOf(given: EffectName): Effect {
  if (typeof given !== 'object') return { kind: 'other', name: given, label: given };
  const { kind, name, label = `${kind} ${name}` } = given;
  return { kind, name, label };
}
