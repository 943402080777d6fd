import type { LineTimes } from './line.js';

/** Bounds of the engine. */
export interface BullTimes extends LineTimes {
  /** Interval of looks at the lines. */
  readonly beatMs: number;
  /** Interval of looks at runs that this node has heard nothing of. */
  readonly reviewMs: number;
}

export const bullTimes: BullTimes = { lockMs: 10_000, stalledMs: 5000, beatMs: 1000, reviewMs: 5000 };

/** Time for the end of a run to be stored. */
export const storeMs = 2000;
