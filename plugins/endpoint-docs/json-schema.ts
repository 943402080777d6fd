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

export function namesIn(path: string): readonly string[] {
  return [...path.matchAll(/\{(\w+)\*?\}/g)].map(([, name]) => name as string);
}
