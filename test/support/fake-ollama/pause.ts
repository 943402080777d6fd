import { setImmediate, setTimeout } from 'node:timers/promises';

/** Waits; zero still gives the event loop a turn, so an endless stream cannot starve it. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await (ms > 0 ? setTimeout(ms, undefined, { signal }) : setImmediate(undefined, { signal }));
}
