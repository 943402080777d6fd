import { z } from '#zod';
import { longestMs } from '../duration.js';

/** Schema of a duration for a timer. */
export const milliseconds = z.int().min(1).max(longestMs);
/** Schema of a duration that may be 0. */
export const millisecondsOrNone = z.int().min(0).max(longestMs);
/** Schema of a duration for a timer, in seconds. */
export const seconds = z
  .int()
  .min(1)
  .max(Math.floor(longestMs / 1000));
/** Schema of an age, which no timer waits for: at most a hundred years. */
export const ageMs = z
  .int()
  .min(1)
  .max(100 * 365 * 24 * 3_600_000);
