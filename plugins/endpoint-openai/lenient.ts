import { jsonSchemaOf } from '#sdk';
import { z } from '#zod';

// Clients differ in how they spell a value. What can be meant in one way only is taken; the schema says so, too.

const numberText = z.string().regex(/^[+-]?\d+(\.\d+)?([eE][+-]?\d{1,2})?$/, 'expected a number');
const integerText = z.string().regex(/^[+-]?\d{1,20}$/, 'expected an integer');
const mostText = z.string().regex(/^(-1|[1-9]\d{0,8})$/, 'expected an integer >= 1');

/** A number, also as text. */
export const number = z.union([z.number(), numberText]).transform(Number);

/** An integer, also as text, and of any size: seeds have 64 bits. */
export const integer = z
  .union([z.number().multipleOf(1, 'expected an integer'), integerText])
  .transform(Number);

/** How many at the most; -1 is as many as there are. */
export const most = z
  .union([z.literal(-1), z.int().min(1), mostText])
  .transform((value) => (Number(value) === -1 ? undefined : Number(value)));

/** A text, or a list of what `item` is. A mistake is told at its place within the list. */
export function textOr<T extends z.ZodType>(item: T, mostItems: number) {
  const list = z.array(item).max(mostItems);
  const text = z.string();
  const { $schema: _, ...described } = jsonSchemaOf(z.union([text, list])) ?? {};
  return z
    .unknown()
    .meta(described)
    .transform((value, context): string | z.output<T>[] => {
      const result = (Array.isArray(value) ? list : text).safeParse(value);
      if (result.success) return result.data as string | z.output<T>[];
      for (const issue of result.error.issues) context.issues.push({ ...issue, input: value } as never);
      return z.NEVER;
    });
}
