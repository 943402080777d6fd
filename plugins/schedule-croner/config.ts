import { messageOf } from '#kernel';
import { z } from '#zod';
import { Occurrences } from './occurrences.js';

const schedule = z.union([
  z.strictObject({
    cron: z.string(),
    timeZone: z.string().optional(),
    input: z.unknown().optional(),
  }),
  z.literal(false),
]);

export const config = z.strictObject({
  /** Schedules by the name of the task, in the place of its own; `false` for none. */
  schedules: z
    .record(
      z.string(),
      schedule.superRefine((value, context) => {
        try {
          if (value) new Occurrences(value);
        } catch (error) {
          context.addIssue({ code: 'custom', message: messageOf(error) });
        }
      }),
    )
    .default({}),
});

export type Config = z.infer<typeof config>;
