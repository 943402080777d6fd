import type { StandardSchemaV1 } from '@standard-schema/spec';
import { WaggleError } from '../errors.js';
import { check, fromClient } from './check-request.js';

/** Input of a client as its schema reads it, with defaults. @throws INVALID_REQUEST with the path of each wrong field */
export async function expectValid<T>(schema: StandardSchemaV1<unknown, T>, input: unknown): Promise<T> {
  const { value, issues } = await check(schema, input, fromClient);
  if (issues) throw new WaggleError('INVALID_REQUEST', { issues });
  return value;
}
