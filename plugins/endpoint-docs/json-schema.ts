import type { StandardSchemaV1 } from '@standard-schema/spec';
import { jsonSchemaOf } from '#sdk';

/** The keywords of JSON Schema that matter here. */
export interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly [keyword: string]: unknown;
}

/** A schema as it stands within a document; one that cannot say itself allows anything. */
export function embedded(schema: StandardSchemaV1): JsonSchema {
  const { $schema: _, ...rest } = jsonSchemaOf(schema) ?? {};
  return rest;
}

/** The names in braces of a path. */
export function namesIn(path: string): readonly string[] {
  return [...path.matchAll(/\{(\w+)\*?\}/g)].map(([, name]) => name as string);
}
