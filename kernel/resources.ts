import { setTimeout as sleep } from 'node:timers/promises';

const lookEveryMs = 20;
const maxLooks = 50;
const handles = /(Socket|Server|Pipe|UDP|Process|FSEvent)Wrap$|^StatWatcher$|^MessagePort$/;

/** How often something occurs, by its kind. */
export type Kinds = ReadonlyMap<string, number>;

/** How many timers keep the process alive. */
export function runningTimers(): number {
  return process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;
}

/** Sockets, servers, child processes, threads and watched files that keep it alive, by Node's names for them. */
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

/** What there is more of than before. */
export function moreThan(before: Kinds, now: Kinds = openHandles()): Kinds {
  const more = [...now].map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const);
  return new Map(more.filter(([, count]) => count > 0));
}

/** What is still open that was not before, once it has become no less for a while: the last sockets take a moment to close. */
export async function leftOpen(before: Kinds): Promise<Kinds> {
  let left = moreThan(before);
  let least = Number.POSITIVE_INFINITY;
  // Looks and not a clock: on a machine that is busy a moment is longer.
  for (let looks = 0; left.size > 0 && looks < maxLooks; looks++) {
    await sleep(lookEveryMs);
    left = moreThan(before);
    const count = [...left.values()].reduce((sum, each) => sum + each, 0);
    if (count < least) looks = 0;
    least = Math.min(least, count);
  }
  return left;
}
