import type { StandardSchemaV1 } from '@standard-schema/spec';
import { jsonSchemaOf } from '#sdk';

/** The JSON Schema keywords used here. */
export interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly [keyword: string]: unknown;
}

/** A schema for embedding in a document; one without a JSON Schema allows anything. */
export function embedded(schema: StandardSchemaV1): JsonSchema {
  const { $schema: _, ...rest } = jsonSchemaOf(schema) ?? {};
  return rest;
}

/** The same for the input of a route: fields that only an open server needs are required in one. */
export function inputOf(schema: StandardSchemaV1, isClosed: boolean): JsonSchema {
  const { properties, required = [], ...rest } = embedded(schema);
  if (!properties) return embedded(schema);
  const needed = Object.keys(properties).filter((name) => !isClosed && properties[name]?.neededInOpenServer);
  const fields = Object.entries(properties).map(([name, { neededInOpenServer: _, ...field }]) => [
    name,
    field,
  ]);
  const all = [...required, ...needed];
  return { ...rest, properties: Object.fromEntries(fields), ...(all.length > 0 && { required: all }) };
}

export function namesIn(path: string): readonly string[] {
  return [...path.matchAll(/\{(\w+)\*?\}/g)].map(([, name]) => name as string);
}
