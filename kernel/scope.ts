import { setMaxListeners } from 'node:events';
import type { Effect, EffectName, Undo } from './contracts/effect.js';
import { WaggleError } from './errors.js';

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

  /** Undoes the effects of one kind, and waits for that as long as it takes. */
  async undo(kind: string): Promise<void> {
    const undos = [...this.#effects].filter(([, effect]) => effect.kind === kind);
    await Promise.allSettled(undos.map(async ([undo]) => undo()));
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
