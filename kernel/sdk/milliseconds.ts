import { z } from '#zod';
import { longestMs } from '../duration.js';

/** A duration in a config or a request, for a timer. */
export const milliseconds = z.int().min(1).max(longestMs);
/** The same where none at all makes sense, too. */
export const millisecondsOrNone = z.int().min(0).max(longestMs);
/** The same in seconds. */
export const seconds = z
  .int()
  .min(1)
  .max(Math.floor(longestMs / 1000));
/** An age that is compared and that no timer waits for: at most a hundred years. */
export const ageMs = z
  .int()
  .min(1)
  .max(100 * 365 * 24 * 3_600_000);
