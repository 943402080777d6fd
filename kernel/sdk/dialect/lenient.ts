import { z } from '../../contracts/zod.js';
import { jsonSchemaOf } from '../../json-schema.js';

// Clients write values in different ways. Every unambiguous form is accepted, and documented in the schema.

const numberText = z.string().regex(/^[+-]?\d+(\.\d+)?([eE][+-]?\d{1,2})?$/, 'expected a number');
const integerText = z.string().regex(/^[+-]?\d{1,20}$/, 'expected an integer');
const mostText = z.string().regex(/^(-1|[1-9]\d{0,8})$/, 'expected an integer >= 1');

/** A number, or a number as text. */
export const number = z.union([z.number(), numberText]).transform(Number);

/** An integer, or one as text, of any size: seeds have 64 bits. */
export const integer = z
  .union([z.number().multipleOf(1, 'expected an integer'), integerText])
  .transform(Number);

/** An upper limit; -1 means none. */
export const most = z
  .union([z.literal(-1), z.int().min(1), mostText])
  .transform((value) => (Number(value) === -1 ? undefined : Number(value)));

/** A text, or a list of `item`. An issue is reported at its position in the list. */
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
