import { longestMs } from '../duration.js';
import { taskPriorities } from './task.js';
import { z } from './zod.js';

const text = (why: string) => z.string(why).regex(/^[A-Za-z\d._:-]{1,128}$/, why);
const integer = (key: string, least: number, most = Number.MAX_SAFE_INTEGER) => {
  const why = `${key}: expected integer ${most === longestMs ? `${least}-${most}` : `>= ${least}`}`;
  return z.int(why).min(least, why).max(most, why).optional();
};
const lanes = 'it needs lane "worker" and a module as a URL, or lane "main" and a function run';

/** The shape of a `TaskDefinition` that can be registered. The first issue says why another one cannot. */
export const taskDefinition = z
  .looseObject(
    {
      name: text('its name is not 1 to 128 characters of A-Z a-z 0-9 . _ : -'),
      lane: z.enum(['worker', 'main'], lanes),
      module: z.unknown().optional(),
      // A method of a class is no key of its own.
      run: z.unknown().optional(),
      priority: z.enum(taskPriorities, `"priority" is none of ${taskPriorities.join(', ')}`).optional(),
      concurrency: integer('concurrency', 1),
      maxQueued: integer('maxQueued', 0),
      timeoutMs: integer('timeoutMs', 1, longestMs),
      retries: z
        .looseObject({ baseMs: integer('baseMs', 0, longestMs), maxMs: integer('maxMs', 0, longestMs) })
        .optional(),
    },
    'it is neither an object nor a class',
  )
  .refine(({ lane, module }) => lane === 'main' || module instanceof URL, lanes)
  .refine(({ lane, run }) => lane === 'worker' || typeof run === 'function', '"run" is not a function');
