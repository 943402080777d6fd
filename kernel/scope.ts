import { setMaxListeners } from 'node:events';
import { WaggleError } from './errors.js';

/** Reverses one thing a plugin did. Safe to call twice. */
export type Undo = () => void | Promise<void>;

interface Effect {
  readonly label: string;
  readonly undo: Undo;
}

/** What closing a scope could not do: undos that failed, and the labels of those that had not finished in time. */
export interface CloseReport {
  readonly errors: readonly Error[];
  readonly left: readonly string[];
}

/** Everything one plugin did, so that all of it can be undone, last thing first. */
export class EffectScope {
  readonly #effects = new Set<Effect>();
  readonly #abort = new AbortController();
  #closing: Promise<CloseReport> | undefined;

  constructor(readonly plugin: string) {
    setMaxListeners(0, this.signal); // A plugin may do any number of things that end with it.
  }

  /** Aborts when closing begins, before the first undo runs. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** What is in effect now, oldest first. */
  labels(): readonly string[] {
    return [...this.#effects].map((effect) => effect.label);
  }

  /**
   * Runs `start` now and keeps the undo that it returns.
   * @throws KERNEL_SCOPE_CLOSED, without running `start`, once closing has begun.
   */
  effect(label: string, start: () => Undo): Undo;
  effect(label: string, start: () => Promise<Undo>): Promise<Undo>;
  effect(label: string, start: () => Undo | Promise<Undo>): Undo | Promise<Undo> {
    if (this.signal.aborted) throw new WaggleError('KERNEL_SCOPE_CLOSED', { plugin: this.plugin, label });
    const started = start();
    if (!(started instanceof Promise)) return this.#keep(label, started);
    // Kept before it has finished, so that closing waits for it and then undoes it.
    const undo = this.#keep(label, () =>
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

  #keep(label: string, undo: Undo): Undo {
    let undone: { readonly result: void | Promise<void> } | undefined;
    const effect: Effect = {
      label,
      undo: () => {
        if (undone) return undone.result;
        const done = () => void this.#effects.delete(effect);
        // Set before it runs: an undo may call itself.
        undone = { result: undefined };
        try {
          const result = undo();
          undone = { result: result instanceof Promise ? result.finally(done) : result };
        } finally {
          if (!(undone.result instanceof Promise)) done();
        }
        return undone.result;
      },
    };
    this.#effects.add(effect);
    return effect.undo;
  }

  async #close(timeoutMs: number): Promise<CloseReport> {
    const errors: Error[] = [];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    this.#abort.abort();
    for (const effect of [...this.#effects].reverse()) {
      const fail = (cause: unknown) =>
        void errors.push(new Error(`undoing "${effect.label}" failed: ${String(cause)}`, { cause }));
      try {
        await Promise.race([Promise.resolve(effect.undo()).catch(fail), late]);
      } catch (cause) {
        fail(cause);
      }
    }
    clearTimeout(timer);
    return { errors, left: this.labels() };
  }
}
