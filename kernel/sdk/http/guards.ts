import type { Undo } from '../../contracts/effect.js';
import type { Guard, GuardedRequest } from '../../contracts/transport.js';

/** The conditions of plugins for requests and upgrades. */
export class Guards {
  #all: readonly Guard[] = [];

  add(guard: Guard): Undo {
    this.#all = [...this.#all, guard];
    return () => {
      this.#all = this.#all.filter((each) => each !== guard);
    };
  }

  /** Asks one after the other, at once as far as they answer at once. @throws what a guard throws */
  ask(guarded: GuardedRequest): void | Promise<void> {
    return askFrom(0, this.#all, guarded);
  }
}

function askFrom(start: number, guards: readonly Guard[], guarded: GuardedRequest): void | Promise<void> {
  for (let at = start; at < guards.length; at++) {
    const verdict = (guards[at] as Guard)(guarded);
    // The next one is not asked before: its refusal would be heard by nobody.
    if (verdict instanceof Promise) return verdict.then(() => askFrom(at + 1, guards, guarded));
  }
}
