import { z } from '#zod';

const flag = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1');
const count = (most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'expected a whole number')
    .transform(Number)
    .refine((number) => number <= most, `expected at most ${most}`);

/** The query of `GET /v1/responses/{response_id}`. */
export const retrieveQuery = z.looseObject({
  stream: flag.optional().describe('Events in place of the object, from the first one on or after a number'),
  starting_after: count(999_999_999)
    .optional()
    .describe('The `sequence_number` of the last event that the client has'),
});

/** The query of `GET /v1/responses/{response_id}/input_items`. */
export const itemsQuery = z.looseObject({
  after: z.string().optional().describe('The id of the last item of the page before'),
  limit: count(100)
    .optional()
    .transform((limit) => limit ?? 20),
  order: z.enum(['asc', 'desc']).optional(),
});
