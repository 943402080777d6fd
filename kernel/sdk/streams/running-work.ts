import type { CancelReceipt } from '../../contracts/stream.js';

interface Work {
  readonly kind: 'agent' | 'tool';
  readonly name: string;
  hasEnded: boolean;
}

/** The agents and tools that work for one reply: mostly one. */
export class RunningWork {
  #running: Work[] = [];
  #onIdle: (() => void) | undefined;

  /** The result tells of its end. */
  begin(kind: Work['kind'], name: string): (hasStopped?: boolean) => void {
    const work = { kind, name, hasEnded: false };
    this.#running.push(work);
    return (hasStopped = true) => {
      work.hasEnded = hasStopped;
      const at = this.#running.indexOf(work);
      if (at >= 0) this.#running.splice(at, 1);
      if (this.#running.length === 0) this.#onIdle?.();
    };
  }

  /** Resolves when nothing runs. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      if (this.#running.length === 0) resolve();
    });
  }

  /** Takes note of all that runs; the result says, at any later time, how much of it has stopped. */
  toBeStopped(): () => Pick<CancelReceipt, 'stopped' | 'unstopped'> {
    const all = [...this.#running];
    return () => {
      const stopped = { agents: 0, tools: 0 };
      for (const { kind, hasEnded } of all) if (hasEnded) stopped[`${kind}s`]++;
      const unstopped = all.flatMap(({ name, hasEnded }) => (hasEnded ? [] : name));
      return { stopped, ...(unstopped.length > 0 && { unstopped }) };
    };
  }
}
