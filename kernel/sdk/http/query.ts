import { z } from '#zod';

/** An integer in a query or a header, where everything is text. Documents show the number that it is: `integer` tells them. */
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
