import { z } from '#zod';

/** Schema of an integer in a query or header. Its `integer` metadata makes documents show a number. */
export function integerText(minimum: number, maximum?: number) {
  const range = maximum === undefined ? `>= ${minimum}` : `${minimum}-${maximum}`;
  const expected = `expected an integer ${range}`;
  const limit = maximum ?? 999_999_999_999_999;
  return z
    .string()
    .regex(/^\d{1,15}$/, expected)
    .refine((text) => Number(text) >= minimum && Number(text) <= limit, expected)
    .meta({ integer: { minimum, maximum: limit } });
}
