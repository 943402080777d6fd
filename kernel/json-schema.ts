import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec';

/** The part of JSON Schema that describes a config key or a field of a request. */
export interface Node {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Node;
  readonly items?: Node;
  readonly maxItems?: number;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
}

type JsonSchema = Readonly<Record<string, unknown>>;

// Describing a schema takes far longer than a check, and requests use the same few.
const described = new WeakMap<StandardSchemaV1, JsonSchema | undefined>();

/** The input of a schema as JSON Schema 2020-12; undefined for a schema that cannot describe itself. */
export function jsonSchemaOf(schema: StandardSchemaV1): JsonSchema | undefined {
  if (!described.has(schema)) described.set(schema, describe(schema));
  return described.get(schema);
}

function describe(schema: StandardSchemaV1): JsonSchema | undefined {
  const { jsonSchema } = schema['~standard'] as Partial<StandardJSONSchemaV1.Props>;
  try {
    return jsonSchema?.input({ target: 'draft-2020-12' });
  } catch {
    return undefined; // Not every type has a JSON Schema; the schema's own messages serve then.
  }
}

/** The description of the value at `path`. */
export function nodeAt(node: Node, path: readonly (string | number)[]): Node | undefined {
  return path.reduce<Node | undefined>((at, key) => at && childOf(at, key), node);
}

/** The description of one item of a list or one key of a map. */
export function childOf(node: Node, key: string | number): Node | undefined {
  const own = typeof key === 'number' ? node.items : propertyOf(node, key);
  if (own) return own;
  const ways = (waysOf(node) ?? []).flatMap((each) => childOf(each, key) ?? []);
  return ways.length > 1 ? { anyOf: ways } : ways[0];
}

function propertyOf({ properties, additionalProperties: rest }: Node, key: string): Node | undefined {
  if (properties && Object.hasOwn(properties, key)) return properties[key];
  return typeof rest === 'object' ? rest : undefined;
}

/** The descriptions of which a value must fit one; undefined where there is only this one. */
export function waysOf(node: Node): readonly Node[] | undefined {
  if (typeof node.type === 'object') return node.type.map((type) => ({ ...node, type }));
  return node.anyOf ?? node.oneOf;
}

/** Whether a value has the described type and range; its items and keys are left out. */
export function fits(node: Node, value: unknown): boolean {
  const ways = waysOf(node);
  if (ways) return ways.some((each) => fits(each, value));
  if ('const' in node) return node.const === value;
  if (node.enum) return node.enum.includes(value);
  if (typeof value === 'number') {
    if (node.type === 'integer' && !Number.isInteger(value)) return false;
    return (
      (node.type === undefined || node.type === 'integer' || node.type === 'number') &&
      value >= (node.minimum ?? -Infinity) &&
      value <= (node.maximum ?? Infinity)
    );
  }
  if (typeof value === 'string')
    return (
      (node.type ?? 'string') === 'string' &&
      value.length >= (node.minLength ?? 0) &&
      value.length <= (node.maxLength ?? Infinity)
    );
  const type = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
  return value !== undefined && (node.type ?? type) === type;
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
