import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { OnPhase } from '../contracts/kernel-options.js';

const lookEveryMs = 20;
const maxLooks = 50;
const handles = /(Socket|Server|Pipe|UDP|Process|FSEvent)Wrap$|^StatWatcher$|^MessagePort$/;

/** How often something occurs, by its kind. */
export type Kinds = ReadonlyMap<string, number>;

/** Timers that keep the process alive. */
function runningTimers(): number {
  return process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;
}

/** Sockets, servers, child processes, threads and watched files that keep the process alive, by Node's names for them. */
export function openHandles(): Kinds {
  const kinds = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo())
    if (handles.test(kind)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  if (threads.size > 0) kinds.set('Worker', threads.size);
  return kinds;
}

// Node lists them nowhere. The thread of `module.register` is of another class.
const threads = new Set<object>();
process.on('worker', (thread) => {
  if (thread.constructor.name !== 'Worker') return;
  threads.add(thread);
  thread.once('exit', () => threads.delete(thread));
});

function moreThan(before: Kinds, now: Kinds): Kinds {
  const more = [...now].map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const);
  return new Map(more.filter(([, count]) => count > 0));
}

/** Handles that are still open and were not before, once their number falls no further: the last sockets take a moment to close. */
export async function leftOpen(before: Kinds): Promise<Kinds> {
  let left = moreThan(before, openHandles());
  let least = Number.POSITIVE_INFINITY;
  // Looks and not a clock: on a machine that is busy a moment is longer.
  for (let looks = 0; left.size > 0 && looks < maxLooks; looks++) {
    await sleep(lookEveryMs);
    left = moreThan(before, openHandles());
    const count = [...left.values()].reduce((sum, each) => sum + each, 0);
    if (count < least) looks = 0;
    least = Math.min(least, count);
  }
  return left;
}

interface Holding {
  /** Timers that the setup left running, less those that the stop ended. */
  timers: number;
  /** Handles that the setup and the ready hooks opened, by kind, less those that the stop closed. */
  readonly handles: Map<string, number>;
}

/** Handles and timers of the process by the plugin in whose phase each began. */
export class ResourceLedger {
  readonly #timersBefore = runningTimers();
  readonly #holdings = new Map<string, Holding>();

  /** An option of the kernel. */
  readonly onPhase: OnPhase = (plugin, phase) => {
    const holding = (phase === 'setup' ? undefined : this.#holdings.get(plugin)) ?? {
      timers: 0,
      handles: new Map(),
    };
    this.#holdings.set(plugin, holding);
    const timersBefore = runningTimers();
    const before = openHandles();
    return async () => {
      if (phase !== 'ready') holding.timers += runningTimers() - timersBefore;
      // `listen`, `close` and the like take effect a tick later.
      await nextTurn();
      const [more, sign] =
        phase === 'stop' ? [moreThan(openHandles(), before), -1] : [moreThan(before, openHandles()), 1];
      for (const [kind, count] of more)
        holding.handles.set(kind, (holding.handles.get(kind) ?? 0) + sign * count);
    };
  };

  /** Plugins that hold handles of a kind, as `process.getActiveResourcesInfo` names it. */
  openersOf(kind: string): readonly string[] {
    return this.#held(({ handles }) => handles.get(kind) ?? 0).map(([plugin]) => plugin);
  }

  /** Plugins with the number of timers that each left running. */
  leftTimers(): readonly (readonly [plugin: string, timers: number])[] {
    return runningTimers() > this.#timersBefore ? this.#held(({ timers }) => timers) : [];
  }

  #held(count: (holding: Holding) => number): readonly (readonly [plugin: string, count: number])[] {
    return [...this.#holdings]
      .map(([plugin, holding]) => [plugin, count(holding)] as const)
      .filter(([, held]) => held > 0);
  }
}
